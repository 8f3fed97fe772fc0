import PersistentMemory

extension HeapReader: HeapReading {
    @inlinable @inline(__always)
    public func loadUnchecked<T: BitwiseCopyable>(_ offset: UInt64) -> T { load(offset) }

    @inlinable public func holds(_ offset: UInt64, _ bytes: Int) -> Bool {
        let limit = bounds.pointee.heapBytes
        return bytes >= 0 && offset <= limit && UInt64(bytes) <= limit - offset
    }

    public func stop(damagedAt offset: UInt64, _ detail: String) -> Never {
        guard let heap = owner as? PersistentHeap else { fatalError(detail) }
        heap.damaged(offset, detail)
    }
}

extension PersistentHeap {
    /// What views of this heap load from.
    public var reader: HeapReader {
        HeapReader(base: base, owner: self, lane: nil, bounds: lanes[0])
    }

    /// An object with its fields by name, strings and containers in Swift's own forms.
    @inlinable public func view<T: PersistentObject>(_ reference: PRef<T>) -> PView<T> {
        PView(reference, reader)
    }
}

extension Transaction {
    /// What views inside this transaction load from.
    public var reader: HeapReader {
        HeapReader(
            base: state.pointee.access.base, owner: heap.takeUnretainedValue(), lane: lane,
            bounds: lane)
    }

    /// An object as this transaction sees it, for the time of the transaction.
    public func view<T: PersistentObject>(_ reference: PRef<T>) -> PView<T> {
        PView(reference, reader)
    }
}

// MARK: Arrays

/// An array of the heap as a collection, with its elements as views show them. Each element is
/// loaded when it is asked for.
public struct PArrayView<Stored: Persistable>: RandomAccessCollection {
    /// The array as it was when the view was made.
    public let array: PArray<Stored>
    @usableFromInline let reader: HeapReader

    @inlinable public init(_ array: PArray<Stored>, _ reader: HeapReader) {
        self.array = array
        self.reader = reader
    }

    @inlinable public var startIndex: Int { 0 }
    @inlinable public var endIndex: Int { array.count }
    @inlinable public subscript(index: Int) -> Stored.Viewed {
        array.element(at: index, in: reader).viewed(by: reader)
    }
}

extension PArray {
    /// This array as a collection.
    @inlinable public func viewed(by reader: HeapReader) -> PArrayView<Element> {
        PArrayView(self, reader)
    }
    /// This array as a collection.
    @inlinable public func view(in heap: PersistentHeap) -> PArrayView<Element> {
        viewed(by: heap.reader)
    }
    /// This array as a collection, for the time of the transaction.
    public func view(in tx: borrowing Transaction) -> PArrayView<Element> {
        viewed(by: tx.reader)
    }
}

extension PArrayView: Equatable where Stored.Viewed: Equatable {
    public static func == (a: Self, b: Self) -> Bool { a.elementsEqual(b) }
    /// Whether the elements are those of an ordinary array.
    public static func == (a: Self, b: [Stored.Viewed]) -> Bool { a.elementsEqual(b) }
    public static func != (a: Self, b: [Stored.Viewed]) -> Bool { !(a == b) }
}

extension PArrayView: Hashable where Stored.Viewed: Hashable {
    public func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        for element in self { hasher.combine(element) }
    }
}

extension PArrayView: CustomStringConvertible {
    public var description: String { Array(self).description }
}

// MARK: Dictionaries

/// A place in a dictionary; good until the dictionary changes.
public struct PDictionaryIndex: Comparable, Sendable {
    @usableFromInline let slot: Int
    @inlinable init(slot: Int) { self.slot = slot }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.slot < b.slot }
}

extension PDictionary {
    @inlinable public var isEmpty: Bool { count == 0 }

    /// The number behind that of the last slot.
    @inlinable var endSlot: Int { isInBuckets ? 1 << 62 : capacity }

    @inlinable func slotOffset<Reader: HeapReading & ~Copyable>(
        _ number: Int, in reader: borrowing Reader
    ) -> UInt64 {
        isInBuckets
            ? slotOffsetInBuckets(number, in: reader)
            : table &+ UInt64(truncatingIfNeeded: number &* MemoryLayout<Slot>.stride)
    }

    /// The first filled slot at or behind a number; `endSlot` if there is none.
    @inlinable func filledSlot<Reader: HeapReading & ~Copyable>(
        from number: Int, in reader: borrowing Reader
    ) -> Int {
        if isInBuckets { return filledSlotInBuckets(from: number, in: reader) }
        var number = number
        while number < capacity {
            let tag: UInt64 = reader.load(slotOffset(number, in: reader))
            if tag > 1 { return number }
            number &+= 1
        }
        return capacity
    }

    @inlinable func pair<Reader: HeapReading & ~Copyable>(
        at index: PDictionaryIndex, in reader: borrowing Reader
    ) -> (key: Key, value: Value) {
        precondition(index.slot >= 0 && index.slot < endSlot, "index out of range")
        let slot: Slot = reader.load(slotOffset(index.slot, in: reader))
        precondition(slot.tag > 1, "the dictionary has changed since the index was made")
        return (slot.key, slot.value)
    }

    /// This dictionary as a collection.
    @inlinable public func viewed(by reader: HeapReader) -> PDictionaryView<Key, Value> {
        PDictionaryView(self, reader)
    }
    /// This dictionary as a collection.
    @inlinable public func view(in heap: PersistentHeap) -> PDictionaryView<Key, Value> {
        viewed(by: heap.reader)
    }
    /// This dictionary as a collection, for the time of the transaction.
    public func view(in tx: borrowing Transaction) -> PDictionaryView<Key, Value> {
        viewed(by: tx.reader)
    }
}

extension PDictionary where Key == PString {
    /// The value of a key given as a string. Copies nothing.
    @inlinable public func value<Reader: HeapReading & ~Copyable>(
        forKey text: String, in reader: borrowing Reader
    ) -> Value? {
        withUTF8(of: text) { value(forBytes: $0, in: reader) }
    }
}

/// Lends a string's bytes.
@inlinable func withUTF8<R>(of text: String, _ body: (UnsafeRawBufferPointer) throws -> R)
    rethrows -> R
{
    var text = text
    return try text.withUTF8 { try body(UnsafeRawBufferPointer($0)) }
}

/// A dictionary of the heap as a collection of pairs, in no particular order, with keys and values
/// as views show them.
public struct PDictionaryView<Key: PersistentKey, Value: Persistable>: Collection {
    /// The dictionary as it was when the view was made.
    public let dictionary: PDictionary<Key, Value>
    @usableFromInline let reader: HeapReader

    @inlinable public init(_ dictionary: PDictionary<Key, Value>, _ reader: HeapReader) {
        self.dictionary = dictionary
        self.reader = reader
    }

    @inlinable public var count: Int { dictionary.count }
    @inlinable public var startIndex: PDictionaryIndex { next(from: 0) }
    @inlinable public var endIndex: PDictionaryIndex {
        PDictionaryIndex(slot: dictionary.endSlot)
    }
    @inlinable public func index(after index: PDictionaryIndex) -> PDictionaryIndex {
        next(from: index.slot + 1)
    }
    @inlinable func next(from slot: Int) -> PDictionaryIndex {
        PDictionaryIndex(slot: dictionary.filledSlot(from: slot, in: reader))
    }
    @inlinable public subscript(index: PDictionaryIndex) -> (
        key: Key.Viewed, value: Value.Viewed
    ) {
        let pair = dictionary.pair(at: index, in: reader)
        return (pair.key.viewed(by: reader), pair.value.viewed(by: reader))
    }

    @inlinable public subscript(key: Key) -> Value.Viewed? {
        dictionary.value(forKey: key, in: reader)?.viewed(by: reader)
    }
    @inlinable
    public subscript(
        key: Key, default other: @autoclosure () -> Value.Viewed
    ) -> Value.Viewed {
        self[key] ?? other()
    }

    /// The keys, found as they are asked for.
    @inlinable public var keys: LazyMapCollection<Self, Key.Viewed> { lazy.map(\.key) }
    /// The values, found as they are asked for.
    @inlinable public var values: LazyMapCollection<Self, Value.Viewed> { lazy.map(\.value) }
}

extension PDictionaryView where Key == PString {
    @inlinable public subscript(text: String) -> Value.Viewed? {
        dictionary.value(forKey: text, in: reader)?.viewed(by: reader)
    }
    @inlinable
    public subscript(
        text: String, default other: @autoclosure () -> Value.Viewed
    ) -> Value.Viewed {
        self[text] ?? other()
    }
}

extension PDictionaryView: Equatable where Key.Viewed: Hashable, Value.Viewed: Equatable {
    public static func == (a: Self, b: Self) -> Bool {
        a.count == b.count && a == Dictionary(b.map { ($0.key, $0.value) }) { first, _ in first }
    }
    /// Whether the pairs are those of an ordinary dictionary.
    public static func == (a: Self, b: [Key.Viewed: Value.Viewed]) -> Bool {
        a.count == b.count && a.allSatisfy { b[$0.key] == $0.value }
    }
    public static func != (a: Self, b: [Key.Viewed: Value.Viewed]) -> Bool { !(a == b) }
}

extension PDictionaryView: Hashable where Key.Viewed: Hashable, Value.Viewed: Hashable {
    public func hash(into hasher: inout Hasher) {
        hasher.combine(Dictionary(map { ($0.key, $0.value) }) { first, _ in first })
    }
}

extension PDictionaryView: CustomStringConvertible {
    public var description: String {
        if isEmpty { return "[:]" }
        let pairs = map { "\(String(reflecting: $0.key)): \(String(reflecting: $0.value))" }
        return "[" + pairs.joined(separator: ", ") + "]"
    }
}

// MARK: Strings

extension PString {
    @inlinable public var isEmpty: Bool { count == 0 }

    /// Views show a string as a copy of it.
    @inlinable public func viewed(by reader: HeapReader) -> String { string(in: reader) }

    /// The bytes as a collection; none is copied before it is asked for.
    public func utf8(in heap: PersistentHeap) -> PStringBytes { PStringBytes(self, heap.reader) }

    /// Whether this is the string `text`, byte for byte. Copies nothing.
    @inlinable public func isEqual<Reader: HeapReading & ~Copyable>(
        to text: String, in reader: borrowing Reader
    ) -> Bool {
        withBytes(in: reader) { own in withUTF8(of: text) { PString.equal(own, $0) } }
    }
}

/// The UTF-8 bytes of a string of the heap.
public struct PStringBytes: RandomAccessCollection {
    let string: PString
    let reader: HeapReader

    init(_ string: PString, _ reader: HeapReader) {
        self.string = string
        self.reader = reader
    }

    public var startIndex: Int { 0 }
    public var endIndex: Int { string.count }
    public subscript(index: Int) -> UInt8 {
        precondition(index >= 0 && index < string.count, "index out of range")
        return string.withBytes(in: reader) { $0[index] }
    }
}
