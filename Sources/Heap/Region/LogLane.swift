import CPersistentMemory

/// One transaction's volatile state, and the log it writes (`LaneFormat`). One thread at a time.
public struct LaneState {
    public let access: RegionAccess
    /// Where the lane lies, and how long it is.
    public let offset: UInt64
    public let byteCount: UInt64
    public let index: Int
    /// The generation of the transaction that runs, or runs next.
    public var generation: UInt64 = 1
    /// Counts ends of transactions: a view that outlived its transaction is noticed.
    public var serial: UInt64 = 1
    public var mode = LogMode.redo
    /// Every redo commit retires its block at once: needed when another lane may change the same
    /// words next.
    public var retiresEagerly = false { didSet { noteObservers() } }
    /// A redo block newer than the commit words may have home writes that no fence covers yet.
    public var hasUnretired = false
    /// Commits write journal blocks (`LogLane+Journal`): the half of the log that is being filled,
    /// its bytes in use, blocks in the heap, and what takes those back when they are needed no more.
    @usableFromInline let journals: Bool
    var half: UInt64 = 0
    var journalled: UInt64 = 0
    var farBlocks = RawList<UInt64>(capacity: 4)
    var pieces = RawList<JournalPiece>(capacity: 4)
    /// Bytes of large new objects that a journal block holds; of more, the homes are made durable.
    package var mostObjectBytes = 1 << 20
    /// The largest block to ask the heap for.
    public var mostBlockBytes = 1 << 22
    public var releaseBlock: (UInt64) -> Void = { _ in }
    /// Offsets of words that must be durable with the next commit: span words of pages that nothing
    /// durable needs yet. Nil: they are made durable where they are stored.
    public var spans: UnsafeMutablePointer<RawList<UInt64>>?

    /// Units of the region that are private to the process now (`LogLane+Private`): their numbers, a
    /// bit for each (made when first needed), and how often the system was asked.
    var privateUnits = RawList<UInt64>(capacity: 16)
    var privateBits: UnsafeMutablePointer<UInt64>?
    /// Bytes of a row with one bit for each unit of the region.
    let unitBitBytes: Int
    /// Pages that this transaction took whole: their count, a bit for each (made when first needed).
    @usableFromInline var freshPages = 0
    var freshBits: UnsafeMutablePointer<UInt64>?
    var privateRuns = 0
    /// Each may take two mappings of the process, of which Linux allows 65,530 (`vm.max_map_count`).
    package var mostPrivateRuns = 16_000
    /// Nothing below this offset becomes private.
    public var privateFloor: UInt64

    /// Undo: ranges logged so far, to write back at commit.
    public var ranges = RawList<LoggedRange>(capacity: 64)
    /// Redo: words written so far, in order of first writing.
    public var words = RawList<LoggedWord>(capacity: 64)
    /// Redo, more than `linearWords`: open addressing over `words`, index + 1, 0 empty.
    var table: UnsafeMutablePointer<UInt32>
    var tableMask = 0
    /// Ranges of objects made by this transaction: stores to them need no log, only a write-back.
    public var fresh = RawList<LoggedRange>(capacity: 64)
    /// Undo: next free byte of the log, first unsealed byte, end of the block.
    @usableFromInline var cursor: UInt64 = 0
    @usableFromInline var sealed: UInt64 = 0
    @usableFromInline var limit: UInt64 = 0
    /// Undo: where the checksum of each record starts.
    @usableFromInline var undoSeed: UInt64 = 0
    /// Why the transaction cannot commit. Stores after it are dropped, a limited number of them.
    public var failure: (any Error)?
    var droppedStores = 0
    /// Gives a block of the heap for a log that outgrew the lane; nil when the heap is full.
    public var allocateBlock: (Int) -> UInt64? = { _ in nil }
    /// The heap that owns the lane (an unretained reference), for views that need more than loads
    /// and stores.
    public var owner: UnsafeMutableRawPointer?
    /// The tag that references of the heap have in their upper bits.
    public var referenceTag: UInt64 = 0
    /// The heap's size: no reference leads behind it.
    public var heapBytes: UInt64 = ~0
    /// Stops the program for a reference of another heap or one that leads out of this one.
    public var refuse: (UInt64, Int) -> Void = { _, _ in }
    /// Called with ranges about to be overwritten while the collector marks.
    public var overwriteBarrier: ((UInt64, Int) -> Void)? { didSet { noteObservers() } }
    /// Commits must not take the short way: a collector listens, or blocks retire at once, as all
    /// but journal blocks do in a lane that journals.
    var isObserved: Bool

    private mutating func noteObservers() {
        isObserved = overwriteBarrier != nil || retiresEagerly || journals
    }

    static let linearWords = 8
}

/// A handle on a lane. Copies name the same lane; the heap owns it.
public struct LogLane: @unchecked Sendable {
    public let state: UnsafeMutablePointer<LaneState>

    public init(region: PersistentRegion, offset: UInt64, byteCount: UInt64, index: Int) {
        precondition(byteCount >= UInt64(LaneFormat.minimumBytes) && offset % 64 == 0)
        state = .allocate(capacity: 1)
        let table = UnsafeMutablePointer<UInt32>.allocate(capacity: 1)
        state.initialize(
            to: LaneState(
                access: RegionAccess(region), offset: offset, byteCount: byteCount, index: index,
                table: table))
    }

    public func deallocate() {
        state.pointee.ranges.deallocate()
        state.pointee.words.deallocate()
        state.pointee.fresh.deallocate()
        state.pointee.table.deallocate()
        state.pointee.farBlocks.deallocate()
        state.pointee.pieces.deallocate()
        state.pointee.privateUnits.deallocate()
        for bits in [state.pointee.privateBits, state.pointee.freshBits] {
            if let bits { pm_release(bits, state.pointee.unitBitBytes) }
        }
        state.deinitialize(count: 1)
        state.deallocate()
    }

    // MARK: Begin

    @inlinable @inline(__always) public func begin(_ mode: LogMode) {
        state.pointee.mode = mode
        if mode == .undo { beginUndo() }
    }

    // MARK: Loads and stores

    /// A value as the transaction sees it.
    @inlinable @inline(__always)
    public func load<T: BitwiseCopyable>(_ offset: UInt64, as type: T.Type = T.self) -> T {
        guard state.pointee.words.count == 0 else { return loadGathered(offset) }
        let pointer = state.pointee.access.base + Int(truncatingIfNeeded: offset)
        return pointer.assumingMemoryBound(to: T.self).pointee
    }

    /// A value some words of which may be gathered, not home yet.
    @inlinable @inline(never)
    func loadGathered<T: BitwiseCopyable>(_ offset: UInt64) -> T {
        let pointer = state.pointee.access.base + Int(truncatingIfNeeded: offset)
        if MemoryLayout<T>.size == 8, offset & 7 == 0 {
            let found = find(offset)
            return found >= 0
                ? unsafeBitCast(state.pointee.words[found].value, to: T.self)
                : pointer.assumingMemoryBound(to: T.self).pointee
        }
        return withUnsafeTemporaryAllocation(of: T.self, capacity: 1) { buffer in
            let copy = UnsafeMutableRawPointer(buffer.baseAddress.unsafelyUnwrapped)
            copy.copyMemory(from: pointer, byteCount: MemoryLayout<T>.size)
            overlay(copy, offset, MemoryLayout<T>.size)
            return copy.assumingMemoryBound(to: T.self).pointee
        }
    }

    /// Copies bytes out as the transaction sees them.
    public func read(_ offset: UInt64, _ length: Int, into target: UnsafeMutableRawPointer) {
        target.copyMemory(from: state.pointee.access.base + Int(offset), byteCount: length)
        if state.pointee.words.count > 0 { overlay(target, offset, length) }
    }

    /// Stores a value at an offset that is aligned for it.
    @inlinable @inline(__always)
    public func store<T: BitwiseCopyable>(_ value: T, at offset: UInt64) {
        if MemoryLayout<T>.size == 8, offset & 7 == 0, state.pointee.mode != .direct {
            if state.pointee.mode == .redo {
                putWord(unsafeBitCast(value, to: UInt64.self), at: offset)
            } else {
                storeWord(unsafeBitCast(value, to: UInt64.self), at: offset)
            }
        } else {
            storeBytes(of: value, at: offset)
        }
    }

    @inlinable @inline(never)
    func storeBytes<T: BitwiseCopyable>(of value: T, at offset: UInt64) {
        withUnsafeBytes(of: value) { store($0, at: offset) }
    }

    /// Stores bytes at any offset.
    public func store(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
        guard let source = bytes.baseAddress, bytes.count > 0, state.pointee.failure == nil else {
            return
        }
        if state.pointee.mode == .direct || isFresh(offset, bytes.count) {
            (state.pointee.access.base + Int(offset)).copyMemory(
                from: source, byteCount: bytes.count)
        } else if storesPrivately {
            storePrivately(bytes, at: offset)
        } else if state.pointee.mode == .undo {
            announce(offset, bytes.count)
            seal()
            guard state.pointee.failure == nil else { return }
            (state.pointee.access.base + Int(offset)).copyMemory(
                from: source, byteCount: bytes.count)
        } else {
            putBytes(bytes, at: offset)
        }
    }

    /// Whether a range lies in an object made by this transaction: of those smaller than a page the
    /// last few are looked at.
    @inlinable public func isFresh(_ offset: UInt64, _ length: Int) -> Bool {
        var index = state.pointee.fresh.count
        let stop = index > 4 ? index &- 4 : 0
        while index > stop {
            index &-= 1
            let range = state.pointee.fresh[index]
            if offset &- range.offset < UInt64(truncatingIfNeeded: range.length),
                offset &+ UInt64(truncatingIfNeeded: length)
                    <= range.offset &+ UInt64(truncatingIfNeeded: range.length)
            {
                return true
            }
        }
        return state.pointee.freshPages > 0 && isOnFreshPages(offset, length)
    }

    /// Notes an object made by this transaction; it is written back before the commit.
    @inlinable public func addFresh(_ offset: UInt64, _ length: Int) {
        if length >= 1 << Int(LogLane.unitShift) { noteFreshPages(offset, length) }
        let count = state.pointee.fresh.count
        if count > 0 {
            let last = state.pointee.fresh[count &- 1]
            if last.offset &+ UInt64(truncatingIfNeeded: last.length) == offset {
                state.pointee.fresh[count &- 1].length = last.length &+ length
                return
            }
        }
        state.pointee.fresh.append(LoggedRange(offset: offset, length: length))
    }

    // MARK: Ends

    /// Makes everything durable, or throws what went wrong after undoing it. Returns whether there
    /// was anything to log: the generation is the next one then.
    @discardableResult
    public func commit() throws -> Bool {
        if state.pointee.failure != nil { throw undone() }
        let hasLogged =
            if state.pointee.mode == .undo { try commitUndo() } else { try commitRedo() }
        end()
        return hasLogged
    }

    @inline(never)
    private func undone() -> any Error {
        let failure = state.pointee.failure ?? PersistentMemoryError.invariant("no failure")
        abort()
        return failure
    }

    /// Goes back to the state before the transaction.
    public func abort() {
        if state.pointee.mode == .undo { abortUndo() }
        state.pointee.failure = nil
        state.pointee.droppedStores = 0
        end()
    }

    /// Ends a period of unlogged stores.
    public func endDirect() {
        flushSpans()
        state.pointee.access.fence()
        end()
    }

    @inline(__always)
    private func end() {
        if state.pointee.freshPages > 0 { forgetFreshPages() }
        state.pointee.words.count = 0
        state.pointee.ranges.count = 0
        state.pointee.fresh.count = 0
        state.pointee.serial &+= 1
    }

    /// Notes a store that was not made because the transaction has failed. Code that waits for its
    /// own store to take effect would wait for ever: stopping loses nothing, since the next open
    /// undoes the transaction.
    public func noteDroppedStore() {
        state.pointee.droppedStores += 1
        guard state.pointee.droppedStores > 100_000, let failure = state.pointee.failure else {
            return
        }
        fatalError(
            "a transaction that has failed goes on storing (\(failure)); it is undone at the next open"
        )
    }

    func flushFresh() {
        for index in 0..<state.pointee.fresh.count {
            let range = state.pointee.fresh[index]
            state.pointee.access.flush(range.offset, range.length)
        }
    }

    /// Makes the lane's past final: after it recovery finds nothing to do here.
    public func retire() {
        guard state.pointee.hasUnretired else { return }
        let access = state.pointee.access
        if state.pointee.journals { settle() } else { access.fence() }
        writeCommitWord(state.pointee.generation &- 1)
        state.pointee.hasUnretired = false
        (state.pointee.half, state.pointee.journalled) = (0, 0)
    }

    /// Stores a commit word; it counts once it is durable. Returns its offset.
    @inline(__always)
    func storeCommitWord(_ generation: UInt64, _ base: UnsafeMutableRawPointer) -> UInt64 {
        let slot = state.pointee.offset &+ (generation & (LaneFormat.commitSlots - 1)) &* 64
        base.storeBytes(
            of: LaneFormat.commitWord(generation), toByteOffset: Int(truncatingIfNeeded: slot),
            as: UInt64.self)
        return slot
    }

    func writeCommitWord(_ generation: UInt64) {
        let slot = storeCommitWord(generation, state.pointee.access.base)
        state.pointee.access.flush(slot, 8)
        state.pointee.access.fence()
    }
}

extension LaneState {
    init(
        access: RegionAccess, offset: UInt64, byteCount: UInt64, index: Int,
        table: UnsafeMutablePointer<UInt32>
    ) {
        self.access = access
        self.offset = offset
        self.byteCount = byteCount
        self.index = index
        self.table = table
        journals = access.region._withUnsafeGuaranteedRef { $0.journals }
        isObserved = journals
        let unit = UInt64(1) << LogLane.unitShift
        privateFloor = (offset + byteCount + unit - 1) & ~(unit - 1)
        let units = access.region._withUnsafeGuaranteedRef { $0.reservedBytes } / unit
        unitBitBytes = Int(units / 64 + 1) * 8
    }
}
