import CPersistentMemory
import PersistentMemory
import Synchronization

// References say whose they are. The upper 16 bits of a `PRef` are the tag of its heap, drawn when
// the heap was made and kept in its header; buffers of containers have none. A reference of another
// heap is noticed where it is followed and where it is stored: the tag is taken off by one exclusive
// or, and what is left must fit 48 bits, which was asked before there were tags. Heaps made by older
// versions have the tag 0 and take any reference without one.

/// Heaps that are open in this process, for messages.
enum OpenHeaps {
    private static let paths = Mutex<[UInt64: String]>([:])

    static func add(_ tag: UInt64, _ path: String) { paths.withLock { $0[tag] = path } }
    /// Stays known after the heap is closed: that is when a stale reference turns up.
    static func path(_ tag: UInt64) -> String? { paths.withLock { $0[tag] } }
}

extension PersistentHeap {
    /// The offset that a reference of this heap stands for. Stops the program for another heap's:
    /// there is nothing to read.
    @inlinable @inline(__always)
    func place(of word: UInt64) -> UInt64 {
        let offset = word ^ referenceTag
        return offset >> 48 == 0 ? offset : placeOtherwise(word)
    }

    @usableFromInline @inline(never)
    func placeOtherwise(_ word: UInt64) -> UInt64 {
        guard word >> 48 != 0 else { return word }
        fatalError(foreign(word).description)
    }

    /// The same for words found in objects: what is no reference of this heap stays as it is, and no
    /// object starts there. The low bits of a reference to a part of a container say what the part is
    /// (`PieceReference`).
    func offset(ofReference word: UInt64) -> UInt64 {
        ((word ^ referenceTag) >> 48 == 0 ? word ^ referenceTag : word) & ~PieceReference.bits
    }

    @usableFromInline func foreign(_ word: UInt64) -> HeapError {
        .foreignReference(heap: name, other: OpenHeaps.path(word & ~LaneFormat.offsetMask))
    }

    /// Notes in a lane that a reference must not be stored, if that is so; the transaction throws it
    /// when it ends.
    @usableFromInline @inline(never)
    func refuse(_ word: UInt64, in lane: LogLane) {
        guard word >> 48 != 0, lane.state.pointee.failure == nil else { return }
        lane.state.pointee.failure = foreign(word)
    }

    /// Debug builds: whether an object was given back. Asks only where the answer is sure.
    @usableFromInline func isFreed(_ word: UInt64) -> Bool {
        guard state.pointee.isSerial, !state.pointee.isCollecting,
            (word ^ referenceTag) >> 48 == 0 || word >> 48 == 0
        else { return false }
        let offset = word & LaneFormat.offsetMask
        guard let object = object(at: offset) else { return true }
        let page = state.pointee.allocator.pages + Int(offset >> HeapFormat.pageShift)
        return object.span.isCells && page.pointee.flags & PageState.isKnown != 0
            && page.pointee.free[object.cell >> 6] >> UInt64(object.cell & 63) & 1 == 1
    }

    /// Debug builds: stops the program if a reference leads to an object that was given back.
    @usableFromInline func checkAlive(_ word: UInt64) {
        if isFreed(word) {
            fatalError(
                HeapError.freedReference(heap: name, offset: word & LaneFormat.offsetMask)
                    .description)
        }
    }

    /// Debug builds: notes in a lane that a reference to an object that was given back is stored.
    @usableFromInline func refuseFreed(_ word: UInt64, in lane: LogLane) {
        guard lane.state.pointee.failure == nil, isFreed(word) else { return }
        lane.state.pointee.failure = HeapError.freedReference(
            heap: name, offset: word & LaneFormat.offsetMask)
    }

    /// The first reference of another heap among a value's fields; 0 if there is none. Fields that
    /// may hold other things than references are not looked at.
    @inlinable @inline(__always)
    func foreignWord(in value: UnsafeRawPointer, type number: Int) -> UInt64 {
        let type = state.pointee.types + number
        guard let slots = type.pointee.slots else { return 0 }
        for index in 0..<type.pointee.slotCount {
            let slot = slots[index]
            if slot & UInt32(TypeLayout.conservative) != 0 { continue }
            let word = value.loadUnaligned(fromByteOffset: Int(slot), as: UInt64.self)
            if word >> 48 != 0, (word ^ referenceTag) >> 48 != 0 { return word }
        }
        return 0
    }
}

extension FieldAccess {
    /// Stores a reference, unless it is another heap's or (debug builds) leads to an object that was
    /// given back: then the transaction throws that when it ends.
    @inlinable public func set<Target>(_ bytes: Int, _ value: PRef<Target>?) {
        checkTarget(value)
        let (lane, offset) = location
        lane.store(value, at: offset &+ UInt64(truncatingIfNeeded: bytes))
    }

    @inlinable public func set<Target>(_ bytes: Int, _ value: PRef<Target>) {
        set(bytes, Optional(value))
    }

    @inlinable @inline(__always)
    func checkTarget<Target>(_ value: PRef<Target>?) {
        guard let value else { return }
        checkTargetWord(value.word)
    }

    @inlinable @inline(__always)
    func checkTargetWord(_ word: UInt64) {
        let lane = location.lane
        if (word ^ lane.state.pointee.referenceTag) >> 48 != 0 { heap.refuse(word, in: lane) }
        if _isDebugAssertConfiguration() { heap.refuseFreed(word, in: lane) }
    }

    /// The same at once, for operations that can throw.
    @inlinable @inline(__always)
    func admitElement<Element: Persistable>(_ element: Element) throws {
        guard Element.isReference else { return }
        checkElement(element)
        if let failure = location.lane.state.pointee.failure { throw failure }
    }

    /// The same for an element of a container, whose type may be a reference.
    @inlinable @inline(__always)
    func checkElement<Element: Persistable>(_ element: Element) {
        if Element.isReference {
            let word = unsafeBitCast(element, to: UInt64.self)
            if word != 0 { checkTargetWord(word) }
        }
    }
}
