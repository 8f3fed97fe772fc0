import PersistentMemory

/// A growing array, as a field of a persistent structure: its elements lie in one buffer of the
/// heap, those of a larger array in pieces (`PArray+Pieces`).
///
/// Read it through a heap (`heap[list].items.element(at: 3, in: heap)`), change it through the
/// editor of the structure that holds it (`try tx.edit(list).items.append(4)`).
public struct PArray<Element: Persistable>: Persistable {
    @usableFromInline var buffer: UInt64 = 0
    @usableFromInline var storedCount: Int = 0
    /// Elements there is room for; bits 40 and up: see `PArray+Pieces`.
    @usableFromInline var room: Int = 0

    @inlinable public init() {}

    public static var persistentLayout: TypeLayout {
        LayoutCache.layout(of: Self.self) {
            let element = Element.persistentLayout
            return TypeLayout(
                name: "PArray<\(element.name)>", size: MemoryLayout<Self>.size,
                stride: MemoryLayout<Self>.stride,
                alignment: 8, fields: element.fields, references: [0])
        }
    }

    @inlinable public var count: Int { storedCount }
    @inlinable public var isEmpty: Bool { storedCount == 0 }
    @inlinable var isInPieces: Bool { PieceReference.isDirectory(buffer) }
    @inlinable var capacity: Int { isInPieces ? room & (1 << 40 - 1) : room }

    @inlinable static func place(_ buffer: UInt64, _ index: Int) -> UInt64 {
        buffer &+ UInt64(truncatingIfNeeded: index &* MemoryLayout<Element>.stride)
    }

    @inlinable
    public func element<Reader: HeapReading & ~Copyable>(at index: Int, in reader: borrowing Reader)
        -> Element
    {
        precondition(index >= 0 && index < storedCount, "index out of range")
        return reader.load(address(index, in: reader))
    }

    /// Where an element lies. The index must be below the capacity.
    @inlinable @inline(__always)
    func address<Reader: HeapReading & ~Copyable>(_ index: Int, in reader: borrowing Reader)
        -> UInt64
    {
        isInPieces ? placeInPieces(index, in: reader) : Self.place(buffer, index)
    }

    /// Stops the program unless count, capacity and buffer fit together. Before what walks or
    /// allocates by them.
    @inlinable func check<Reader: HeapReading & ~Copyable>(in reader: borrowing Reader) {
        let isSound =
            storedCount >= 0 && storedCount <= capacity && capacity < 1 << 40
            && reader.holds(
                isInPieces ? 0 : buffer, capacity * MemoryLayout<Element>.stride)
            && (!isInPieces
                || headPieces > 0 && headPieces <= pieces && capacity % Self.perPiece == 0)
        if !isSound {
            reader.stop(
                damagedAt: buffer,
                "an array claims \(storedCount) elements in room for \(capacity)")
        }
    }

    /// A copy as an ordinary array.
    @inlinable
    public func elements<Reader: HeapReading & ~Copyable>(in reader: borrowing Reader) -> [Element]
    {
        check(in: reader)
        return (0..<storedCount).map { reader.load(address($0, in: reader)) }
    }
}

/// The writable view of an array (`PArray`).
public struct PArrayEditor<Element: Persistable> {
    @usableFromInline let place: FieldAccess

    @inlinable public init(_ place: FieldAccess) { self.place = place }

    @inlinable @inline(__always) var buffer: UInt64 { place.get(0) }
    @inlinable public var count: Int { place.get(8) }
    @inlinable var capacity: Int { place.get(16) & (1 << 40 - 1) }
    /// The array as the transaction sees it.
    @inlinable public var value: PArray<Element> { place.get(0) }

    @inlinable public subscript(index: Int) -> Element {
        get { place.location.lane.load(slot(index)) }
        nonmutating set {
            place.checkElement(newValue)
            place.location.lane.store(newValue, at: slot(index))
        }
    }

    @inlinable func slot(_ index: Int) -> UInt64 {
        precondition(index >= 0 && index < count, "index out of range")
        return place.location.lane.checked(address(index), MemoryLayout<Element>.stride)
    }

    @inlinable @inline(__always) func address(_ index: Int) -> UInt64 {
        let buffer = self.buffer
        return PieceReference.isDirectory(buffer)
            ? parts(buffer).placeInPieces(index, in: LaneReader(lane: place.location.lane))
            : PArray<Element>.place(buffer, index)
    }

    /// Exchanges two elements. In undo mode one fence covers both.
    @inlinable @inline(__always)
    public func swapAt(_ first: Int, _ second: Int) {
        let array = value
        precondition(first >= 0 && first < array.storedCount, "index out of range")
        precondition(second >= 0 && second < array.storedCount, "index out of range")
        let lane = place.location.lane
        let reader = LaneReader(lane: lane)
        let a = array.address(first, in: reader)
        let b = array.address(second, in: reader)
        // One comparison for both.
        let last = a > b ? a : b
        if last > lane.state.pointee.heapBytes &- UInt64(MemoryLayout<Element>.stride) {
            _ = lane.unusual(last, MemoryLayout<Element>.stride)
        }
        if MemoryLayout<Element>.size == 8, MemoryLayout<Element>.alignment == 8,
            lane.exchangeWords(a, b)
        {
            return
        }
        exchange(a, b, lane)
    }

    @inlinable @inline(never)
    func exchange(_ a: UInt64, _ b: UInt64, _ lane: LogLane) {
        let (x, y): (Element, Element) = (lane.load(a), lane.load(b))
        if lane.state.pointee.mode == .undo {
            lane.announce(a, MemoryLayout<Element>.size)
            lane.announce(b, MemoryLayout<Element>.size)
            lane.seal()
        }
        lane.store(y, at: a)
        lane.store(x, at: b)
    }

    @inlinable
    public func append(_ element: Element) throws {
        try place.admitElement(element)
        let count = self.count
        if count == capacity { try makeRoom() }
        let lane = place.location.lane
        lane.store(
            element, at: lane.checked(address(count), MemoryLayout<Element>.stride))
        place.set(8, count + 1)
    }

    /// Removes and returns the last element.
    @inlinable @discardableResult
    public func removeLast() -> Element {
        let last = self[count - 1]
        place.set(8, count - 1)
        return last
    }

    /// Inserts an element, moving those behind it.
    @inlinable
    public func insert(_ element: Element, at index: Int) throws {
        precondition(index >= 0 && index <= count, "index out of range")
        let old = count
        try append(element)
        var at = old
        while at > index {
            self[at] = self[at - 1]
            at -= 1
        }
        self[index] = element
    }

    /// Removes and returns an element, moving those behind it.
    @inlinable @discardableResult
    public func remove(at index: Int) -> Element {
        let removed = self[index]
        for at in index..<(count - 1) { self[at] = self[at + 1] }
        place.set(8, count - 1)
        return removed
    }

    @inlinable public func removeAll() {
        freeAll()
        place.set(0, PArray<Element>())
    }

    /// Makes room for `minimum` elements. An array that holds little gets one buffer for all of
    /// them, if an arena has room for it; another grows by pieces, and none of its elements moves.
    @inlinable
    public func reserve(_ minimum: Int) throws {
        guard minimum > capacity else { return }
        let stride = MemoryLayout<Element>.stride
        if value.isInPieces || count * stride > Stored.mostPieceBytes
            || minimum > place.heap.largestObjectBytes / stride
        {
            try growPieces(to: minimum)
        } else {
            try growBuffer(to: minimum)
        }
    }

    /// A new buffer that needs no log, since nothing refers to it yet.
    @inlinable func growBuffer(to minimum: Int) throws {
        value.check(in: LaneReader(lane: place.location.lane))
        let old = buffer
        let count = self.count
        let stride = MemoryLayout<Element>.stride
        let (lane, heap) = (place.location.lane, place.heap)
        let new = try heap.allocateBuffer(
            Element.persistentLayout, bytes: minimum * stride, in: lane)
        if count > 0 { lane.read(old, count * stride, into: heap.base + Int(new)) }
        place.set(0, new)
        place.set(16, heap.usableBytes(new) / stride)
        if old != 0 { heap.freeLater(old) }
    }
}

extension FieldAccess {
    /// The heap that gave this view out.
    @usableFromInline var heap: PersistentHeap {
        guard let owner = location.lane.state.pointee.owner else {
            preconditionFailure("a lane without a heap")
        }
        return Unmanaged<PersistentHeap>.fromOpaque(owner).takeUnretainedValue()
    }
}

extension PersistentHeap {
    /// The largest object that an arena has room for.
    @usableFromInline var largestObjectBytes: Int {
        Int(geometry.largestRun << HeapFormat.pageShift)
    }

    /// Zeroed memory for many values of a type, noted as new in the transaction.
    @usableFromInline
    func allocateBuffer(_ layout: TypeLayout, bytes: Int, in lane: LogLane) throws -> UInt64 {
        let offset = try allocateSlowly(type: try arrayNumber(of: layout), bytes: bytes, in: lane)
        (base + Int(offset)).initializeMemory(
            as: UInt8.self, repeating: 0, count: usableBytes(offset))
        return offset
    }

    @usableFromInline func freeLater(_ offset: UInt64) {
        if state.pointee.isSerial { state.pointee.freed.append(offset) }
    }
}
