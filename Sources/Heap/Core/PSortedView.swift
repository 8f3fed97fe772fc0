import PersistentMemory

/// A place in an ordered dictionary: how many pairs come before it.
public struct PSortedIndex: Strideable, Hashable, Sendable {
    @usableFromInline let rank: Int
    @inlinable init(rank: Int) { self.rank = rank }
    @inlinable public func distance(to other: Self) -> Int { other.rank - rank }
    @inlinable public func advanced(by count: Int) -> Self { PSortedIndex(rank: rank + count) }
}

/// An ordered dictionary of the heap, or a range of its keys, as a collection of pairs in order,
/// with keys and values as views show them.
///
/// ```swift
/// heap.view(library).byYear.range(1900..<1950).map(\.value.title)
/// heap.view(library).byYear.last?.key
/// ```
public struct PSortedView<Key: PersistentOrderedKey, Value: Persistable>: RandomAccessCollection {
    /// The dictionary as it was when the view was made.
    public let dictionary: PSortedDictionary<Key, Value>
    @usableFromInline let reader: HeapReader
    public let startIndex: PSortedIndex
    public let endIndex: PSortedIndex

    @inlinable init(
        _ dictionary: PSortedDictionary<Key, Value>, _ reader: HeapReader,
        _ bounds: Range<PSortedIndex>
    ) {
        self.dictionary = dictionary
        self.reader = reader
        startIndex = bounds.lowerBound
        endIndex = bounds.upperBound
    }

    @inlinable public subscript(index: PSortedIndex) -> (key: Key.Viewed, value: Value.Viewed) {
        let (leaf, at) = dictionary.leaf(atRank: index.rank, in: reader)
        return shown(PSortedDictionary<Key, Value>.place(leaf, at, level: 0))
    }

    @inlinable public subscript(bounds: Range<PSortedIndex>) -> Self {
        precondition(
            bounds.lowerBound >= startIndex && bounds.upperBound <= endIndex, "index out of range")
        return PSortedView(dictionary, reader, bounds)
    }

    @inlinable func shown(_ place: UInt64) -> (key: Key.Viewed, value: Value.Viewed) {
        let pair = dictionary.pair(at: place, in: reader)
        return (pair.key.viewed(by: reader), pair.value.viewed(by: reader))
    }

    /// Goes leaf by leaf: a step is a load, not a descent.
    public struct Iterator: IteratorProtocol {
        @usableFromInline let view: PSortedView
        @usableFromInline var rank: Int
        @usableFromInline var leaf = PSortedNode()
        @usableFromInline var index = 0

        @inlinable init(_ view: PSortedView) {
            self.view = view
            rank = view.startIndex.rank
        }

        @inlinable public mutating func next() -> (key: Key.Viewed, value: Value.Viewed)? {
            guard rank < view.endIndex.rank else { return nil }
            if index >= leaf.used {
                (leaf, index) = view.dictionary.leaf(atRank: rank, in: view.reader)
            }
            defer {
                rank &+= 1
                index &+= 1
            }
            return view.shown(PSortedDictionary<Key, Value>.place(leaf, index, level: 0))
        }
    }

    @inlinable public func makeIterator() -> Iterator { Iterator(self) }
    /// The keys, found as they are asked for.
    @inlinable public var keys: LazyMapSequence<Self, Key.Viewed> { lazy.map(\.key) }
    /// The values, found as they are asked for.
    @inlinable public var values: LazyMapSequence<Self, Value.Viewed> { lazy.map(\.value) }
}

// MARK: Keys and ranges of keys

extension PSortedView {
    @inlinable public subscript(key: Key.Bound) -> Value.Viewed? {
        let index = lowerBound(key)
        guard index < endIndex else { return nil }
        let (leaf, at) = dictionary.leaf(atRank: index.rank, in: reader)
        let place = PSortedDictionary<Key, Value>.place(leaf, at, level: 0)
        let pair = dictionary.pair(at: place, in: reader)
        guard pair.key.order(against: key, in: reader) == 0 else { return nil }
        return pair.value.viewed(by: reader)
    }

    @inlinable
    public subscript(
        key: Key.Bound, default other: @autoclosure () -> Value.Viewed
    ) -> Value.Viewed {
        self[key] ?? other()
    }

    /// The place of the first key that is not before `key`.
    @inlinable public func lowerBound(_ key: Key.Bound) -> PSortedIndex {
        clamp(dictionary.rank(of: key, in: reader))
    }

    /// The place of the first key behind `key`.
    @inlinable public func upperBound(_ key: Key.Bound) -> PSortedIndex {
        let rank = dictionary.rank(of: key, in: reader)
        return clamp(rank + (dictionary.find(key, in: reader) == 0 ? 0 : 1))
    }

    @inlinable func clamp(_ rank: Int) -> PSortedIndex {
        PSortedIndex(rank: Swift.min(Swift.max(rank, startIndex.rank), endIndex.rank))
    }

    /// The pairs whose keys lie in a range. Nothing is copied; `count` takes two look-ups.
    @inlinable public func range(_ keys: Range<Key.Bound>) -> Self {
        self[lowerBound(keys.lowerBound)..<lowerBound(keys.upperBound)]
    }
    @inlinable public func range(_ keys: ClosedRange<Key.Bound>) -> Self {
        self[lowerBound(keys.lowerBound)..<upperBound(keys.upperBound)]
    }
    @inlinable public func range(_ keys: PartialRangeFrom<Key.Bound>) -> Self {
        self[lowerBound(keys.lowerBound)..<endIndex]
    }
    @inlinable public func range(_ keys: PartialRangeUpTo<Key.Bound>) -> Self {
        self[startIndex..<lowerBound(keys.upperBound)]
    }
    @inlinable public func range(_ keys: PartialRangeThrough<Key.Bound>) -> Self {
        self[startIndex..<upperBound(keys.upperBound)]
    }
}

extension PSortedDictionary {
    /// This dictionary as a collection in order.
    @inlinable public func viewed(by reader: HeapReader) -> PSortedView<Key, Value> {
        PSortedView(self, reader, PSortedIndex(rank: 0)..<PSortedIndex(rank: count))
    }
    /// This dictionary as a collection in order.
    @inlinable public func view(in heap: PersistentHeap) -> PSortedView<Key, Value> {
        viewed(by: heap.reader)
    }
    /// This dictionary as a collection in order, for the time of the transaction.
    public func view(in tx: borrowing Transaction) -> PSortedView<Key, Value> {
        viewed(by: tx.reader)
    }
}

extension PSortedView: Equatable where Key.Viewed: Equatable, Value.Viewed: Equatable {
    public static func == (a: Self, b: Self) -> Bool { a.elementsEqual(b, by: ==) }
}

extension PSortedView: Hashable where Key.Viewed: Hashable, Value.Viewed: Hashable {
    public func hash(into hasher: inout Hasher) {
        hasher.combine(count)
        for (key, value) in self {
            hasher.combine(key)
            hasher.combine(value)
        }
    }
}

extension PSortedView: CustomStringConvertible {
    public var description: String {
        if isEmpty { return "[:]" }
        let pairs = map { "\(String(reflecting: $0.key)): \(String(reflecting: $0.value))" }
        return "[" + pairs.joined(separator: ", ") + "]"
    }
}
