import CPersistentMemory
import PersistentMemory

/// A running transaction: the only way to store into a heap, short of asking for `unlogged` by
/// name.
///
/// It is lent to the transaction's closure and cannot be copied out of it. Everything stored
/// through it becomes durable together when the closure returns, or not at all when it throws or
/// the machine fails.
public struct Transaction: ~Copyable {
    @usableFromInline let heap: Unmanaged<PersistentHeap>
    @usableFromInline let lane: LogLane

    @inlinable init(_ heap: PersistentHeap, _ lane: LogLane) {
        self.heap = .passUnretained(heap)
        self.lane = lane
    }

    @inlinable var state: UnsafeMutablePointer<HeapState> {
        heap._withUnsafeGuaranteedRef { $0.state }
    }

    // MARK: Objects

    /// Makes an object. It lives as long as it can be reached from a named root.
    @inlinable
    public func new<T: PersistentObject>(_ value: T) throws -> PRef<T> {
        let layout = T.persistentLayout
        let number = try heap._withUnsafeGuaranteedRef { try $0.number(of: layout) }
        let offset = try heap._withUnsafeGuaranteedRef {
            try $0.allocate(type: number, size: MemoryLayout<T>.size, in: lane)
        }
        let cell = state.pointee.access.base + Int(truncatingIfNeeded: offset)
        cell.initializeMemory(as: T.self, to: value)
        return try heap._withUnsafeGuaranteedRef { heap in
            let foreign = heap.foreignWord(in: cell, type: number)
            if foreign != 0 { throw heap.foreign(foreign) }
            return PRef<T>(word: offset | heap.referenceTag).unsafelyUnwrapped
        }
    }

    /// The writable view of an object.
    @inlinable
    public func edit<T: PersistentObject>(_ reference: PRef<T>) -> T.Editor {
        T.Editor(access(reference))
    }

    /// The object's value as this transaction sees it.
    @inlinable
    public subscript<T: PersistentObject>(reference: PRef<T>) -> T { load(place(reference)) }

    @inlinable @inline(__always) func place<T>(_ reference: PRef<T>) -> UInt64 {
        heap._withUnsafeGuaranteedRef {
            if _isDebugAssertConfiguration() { $0.checkAlive(reference.word) }
            return $0.place(of: reference.word)
        }
    }

    /// Replaces an object's value.
    @inlinable
    public func replace<T: PersistentObject>(_ reference: PRef<T>, with value: T) {
        let place = access(reference).location.offset
        heap._withUnsafeGuaranteedRef { heap in
            guard let number = try? heap.number(of: T.persistentLayout) else { return }
            let foreign = withUnsafeBytes(of: value) { bytes in
                bytes.baseAddress.map { heap.foreignWord(in: $0, type: number) } ?? 0
            }
            if foreign != 0 { heap.refuse(foreign, in: lane) }
        }
        lane.store(value, at: place)
    }

    @inlinable func access<T>(_ reference: PRef<T>) -> FieldAccess {
        if _isDebugAssertConfiguration() {
            heap._withUnsafeGuaranteedRef { $0.checkAlive(reference.word) }
        }
        // Another heap's reference leaves bits above the heap's size: one comparison for both.
        let offset = lane.checked(
            reference.word ^ lane.state.pointee.referenceTag, MemoryLayout<T>.size)
        if !state.pointee.isSerial { checkLock(offset) }
        return FieldAccess(lane, offset: offset)
    }

    /// Gives an object's memory back as soon as the transaction has committed, without waiting for
    /// a collection. Nothing may refer to it any more; a reference that was kept would see the
    /// cell's next object of the type.
    @inlinable
    public func free<T>(_ reference: PRef<T>) { freeCell(place(reference)) }

    /// In locking isolation the cell is left to the collector.
    @inlinable func freeCell(_ offset: UInt64) {
        if state.pointee.isSerial { state.pointee.freed.append(offset) }
    }

    /// Undo mode: logs the objects together, so that one fence covers them all. Later stores to
    /// them cost no fence. Does nothing in redo mode.
    @inlinable
    public func announce<each T: PersistentObject>(_ references: repeat PRef<each T>) {
        guard lane.state.pointee.mode == .undo else { return }
        for (reference, size) in repeat (each references, MemoryLayout<each T>.size) {
            lane.announce(place(reference), size)
        }
        lane.seal()
    }

    // MARK: Locks

    /// Waits for the sole right to an object and keeps it until the transaction ends. Throws
    /// `deadlock` instead of waiting for ever. Needed in locking isolation before a store; allowed
    /// and free of charge in serial isolation.
    public func lock<T>(_ reference: PRef<T>) throws {
        try acquire(place(reference), exclusive: true)
    }

    /// Waits until no other transaction may change an object, and keeps it so until the transaction
    /// ends.
    public func lockShared<T>(_ reference: PRef<T>) throws {
        try acquire(place(reference), exclusive: false)
    }

    func acquire(_ offset: UInt64, exclusive: Bool) throws {
        let lane = self.lane.state.pointee.index
        try heap._withUnsafeGuaranteedRef { heap in
            guard !heap.state.pointee.isSerial else { return }
            try heap.locks.acquire(offset, lane: lane, exclusive: exclusive)
        }
    }

    @usableFromInline func checkLock(_ offset: UInt64) {
        let lane = self.lane
        if lane.isFresh(offset, 1) || lane.state.pointee.mode == .direct { return }
        let holds = heap._withUnsafeGuaranteedRef {
            $0.locks.holdsExclusively(offset, lane: lane.state.pointee.index)
        }
        if !holds, lane.state.pointee.failure == nil {
            lane.state.pointee.failure = HeapError.notLocked(offset: offset)
        }
    }
}

extension Transaction: HeapReading {
    @inlinable public var hasFailed: Bool { lane.state.pointee.failure != nil }
    @inlinable public var heapBase: UnsafeRawPointer { UnsafeRawPointer(state.pointee.access.base) }

    @inlinable @inline(__always)
    public func load<T: BitwiseCopyable>(_ offset: UInt64) -> T {
        lane.load(lane.checked(offset, MemoryLayout<T>.size))
    }

    @inlinable @inline(__always)
    public func loadUnchecked<T: BitwiseCopyable>(_ offset: UInt64) -> T { lane.load(offset) }

    @inlinable public func holds(_ offset: UInt64, _ bytes: Int) -> Bool {
        bytes >= 0 && lane.holds(offset, bytes)
    }

    public func stop(damagedAt offset: UInt64, _ detail: String) -> Never {
        heap._withUnsafeGuaranteedRef { $0.damaged(offset, detail) }
    }
}

extension PersistentHeap {
    /// Runs `body` so that all it stores becomes durable together, or nothing.
    ///
    /// Returns after the changes are durable in the heap's domain. If `body` throws, everything is
    /// as before, and the error is thrown on. A transaction inside a transaction of the same thread
    /// joins it.
    ///
    /// - Parameter mode: `.redo` (default) needs one or two fences. `.undo` stores in place, so
    ///   that reading inside long transactions costs nothing; it needs three fences if the objects
    ///   are announced together. Where a fence waits for a disk (`fileSync`) both wait once, now and
    ///   then twice, however much they change.
    @inlinable
    public func transaction<R>(
        _ mode: LogMode = .redo, _ body: (borrowing Transaction) throws -> R
    ) throws -> R {
        let lane = enter(mode)
        let result: R
        do {
            result = try body(Transaction(self, lane))
        } catch {
            fail(lane)
            throw error
        }
        try leave(lane)
        return result
    }

    @inlinable @inline(__always)
    func enter(_ mode: LogMode) -> LogLane {
        guard state.pointee.isSerial else { return enterLocking(mode) }
        let thread = pm_thread_id()
        if state.pointee.owner == thread {
            state.pointee.depth &+= 1
            return state.pointee.serialLane
        }
        pm_lock(&state.pointee.serialLock)
        state.pointee.owner = thread
        state.pointee.serialLane.begin(mode)
        return state.pointee.serialLane
    }

    @inlinable @inline(__always)
    func leave(_ lane: LogLane) throws {
        guard state.pointee.isSerial else { return try leaveLocking(lane) }
        if state.pointee.depth > 0 {
            state.pointee.depth &-= 1
            return
        }
        if state.pointee.isDoomed {
            fail(lane)
            throw HeapError.nestedAbort
        }
        try finish(lane)
    }

    @usableFromInline
    func finish(_ lane: LogLane) throws {
        do {
            if lane.state.pointee.failure != nil { recycleFresh(lane) }
            if state.pointee.observers != 0 { observeEnd(of: lane) }
            let advanced = try lane.commit()
            if advanced, state.pointee.observers != 0 { observeCommit() }
            if state.pointee.freed.count | state.pointee.waiting.count != 0 {
                publishFreed(lane, advanced: advanced)
            }
        } catch {
            state.pointee.freed.count = 0
            unlockSerial()
            throw error
        }
        unlockSerial()
    }

    /// Undoes what a transaction did. Inside another transaction of the thread only notes that it
    /// must fail as well.
    @usableFromInline
    func fail(_ lane: LogLane) {
        guard state.pointee.isSerial else { return failLocking(lane) }
        if state.pointee.depth > 0 {
            state.pointee.depth -= 1
            state.pointee.isDoomed = true
            return
        }
        if state.pointee.observers != 0 { observeEnd(of: lane) }
        recycleFresh(lane)
        lane.abort()
        state.pointee.freed.count = 0
        state.pointee.isDoomed = false
        unlockSerial()
    }

    func lockSerial() {
        pm_lock(&state.pointee.serialLock)
        state.pointee.owner = pm_thread_id()
    }

    @usableFromInline func unlockSerial() {
        state.pointee.owner = 0
        pm_unlock(&state.pointee.serialLock)
    }

    // MARK: Stores without a log

    /// Stores that no log protects, as in the paper: the programmer says what is made durable, and
    /// when. After a crash each 8-byte word holds its old or its new value unless `persist` had
    /// returned.
    public func unlogged<R>(_ body: (borrowing UnloggedAccess) throws -> R) rethrows -> R {
        let isNested = state.pointee.owner == pm_thread_id()
        let lane = state.pointee.serialLane
        precondition(
            !isNested, "unlogged stores inside a transaction could be undone or outrun by it")
        lockSerial()
        lane.retire()
        lane.begin(.direct)
        defer {
            lane.endDirect()
            noteUnknownForBackup()
            unlockSerial()
        }
        return try body(UnloggedAccess(self, lane))
    }
}

/// Access to a heap without a log (`PersistentHeap.unlogged`).
public struct UnloggedAccess: ~Copyable {
    let heap: Unmanaged<PersistentHeap>
    let lane: LogLane

    init(_ heap: PersistentHeap, _ lane: LogLane) {
        self.heap = .passUnretained(heap)
        self.lane = lane
    }

    /// A writable view whose stores are neither logged nor written back.
    public func edit<T: PersistentObject>(_ reference: PRef<T>) -> T.Editor {
        T.Editor(
            FieldAccess(
                lane, offset: heap._withUnsafeGuaranteedRef { $0.place(of: reference.word) }))
    }

    /// Makes an object durable as it is now, and orders what follows behind it.
    public func persist<T: PersistentObject>(_ reference: PRef<T>) {
        heap._withUnsafeGuaranteedRef {
            lane.flushSpans()
            $0.region.flush(reference.offset, MemoryLayout<T>.size)
            $0.region.fence()
        }
    }
}
