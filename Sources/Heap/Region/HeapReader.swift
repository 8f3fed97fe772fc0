/// Where a view loads from: a heap as the last transaction left it, or a running transaction as it
/// sees its own stores. Keeps the heap alive.
///
/// A reader of a transaction stops the program when it is used after that transaction.
public struct HeapReader {
    @usableFromInline let base: UnsafeMutableRawPointer
    public let owner: AnyObject
    @usableFromInline let lane: LogLane?
    @usableFromInline let serial: UInt64
    /// Any lane of the heap: it knows the heap's size and tag.
    public let bounds: UnsafeMutablePointer<LaneState>

    /// - Parameters:
    ///   - base: where the heap is mapped.
    ///   - owner: the heap, kept alive by the reader.
    ///   - lane: the lane of the transaction whose stores are seen; nil for none.
    @inlinable package init(
        base: UnsafeMutableRawPointer, owner: AnyObject, lane: LogLane?, bounds: LogLane
    ) {
        self.bounds = bounds.state
        self.base = base
        self.owner = owner
        self.lane = lane
        serial = lane?.state.pointee.serial ?? 0
    }

    /// Where the heap is mapped: for bytes that never change once written.
    @inlinable public var heapBase: UnsafeRawPointer { UnsafeRawPointer(base) }

    /// The transaction has failed and drops its stores: what it sees may be half changed.
    @inlinable public var hasFailed: Bool { lane.map { $0.state.pointee.failure != nil } ?? false }

    /// Loads the value at an offset of the heap.
    @inlinable public func load<T: BitwiseCopyable>(_ offset: UInt64) -> T {
        let offset = offset >> 48 == 0 ? offset : offset ^ bounds.pointee.referenceTag
        if offset > bounds.pointee.heapBytes &- UInt64(MemoryLayout<T>.size) {
            bounds.pointee.refuse(offset, MemoryLayout<T>.size)
        }
        guard let lane else {
            return (base + Int(truncatingIfNeeded: offset)).assumingMemoryBound(to: T.self).pointee
        }
        precondition(
            lane.state.pointee.serial == serial, "a view was used after its transaction ended")
        return lane.load(offset)
    }
}

extension Persistable where Viewed == Self {
    /// Plain values are shown as they are.
    @inlinable public func viewed(by reader: HeapReader) -> Self { self }
}

/// An object as a reader sees it: its fields by name, with strings as `String`, arrays and
/// dictionaries as collections, references as views of what they refer to.
///
/// ```swift
/// let list = heap.view(root)
/// for item in list.items where !item.isDone { print(item.text) }
/// ```
///
/// Nothing is copied but the field that is asked for. A view of a heap sees what transactions of
/// other threads store; inside `heap.read` none runs.
@dynamicMemberLookup
public struct PView<Pointee> {
    /// The object.
    public let reference: PRef<Pointee>
    @usableFromInline let reader: HeapReader

    @inlinable public init(_ reference: PRef<Pointee>, _ reader: HeapReader) {
        self.reference = reference
        self.reader = reader
    }
}

extension PView where Pointee: PersistentObject {
    /// The object's value.
    @inlinable public var value: Pointee { reader.load(reference.word) }

    /// A field, as views show it.
    @inlinable
    public subscript<Field: Persistable>(
        dynamicMember field: KeyPath<Pointee, Field>
    ) -> Field.Viewed {
        value[keyPath: field].viewed(by: reader)
    }

    /// A computed property of the structure.
    @_disfavoredOverload
    @inlinable
    public subscript<Property>(
        dynamicMember property: KeyPath<Pointee, Property>
    ) -> Property {
        value[keyPath: property]
    }
}

/// Views are the same if they show the same object.
extension PView: Hashable {
    public static func == (a: Self, b: Self) -> Bool { a.reference == b.reference }
    public func hash(into hasher: inout Hasher) { hasher.combine(reference) }
}

extension PView: CustomStringConvertible {
    public var description: String {
        "\(Pointee.self)(0x\(String(reference.word, radix: 16)))"
    }
}

extension PRef {
    @inlinable public func viewed(by reader: HeapReader) -> PView<Pointee> { PView(self, reader) }
}

extension Optional where Wrapped: Persistable {
    @inlinable public func viewed(by reader: HeapReader) -> Wrapped.Viewed? {
        map { $0.viewed(by: reader) }
    }
}
