import PersistentMemory

/// A type that can be the key of a `PSortedDictionary`. Keys are given, and ranges of them named, by
/// `Bound`: the key itself for numbers, `String` for strings.
///
/// A structure of one's own that is `Comparable` needs only to be declared:
/// `extension Day: PersistentOrderedKey {}`.
public protocol PersistentOrderedKey: Persistable {
    associatedtype Bound: Comparable = Self
    /// Below 0 if this key comes before the bound, 0 if it is the bound, else above 0.
    func order<Reader: HeapReading & ~Copyable>(
        against bound: Bound, in reader: borrowing Reader
    ) -> Int
    /// The key as it is stored; may make objects in the transaction that `place` belongs to.
    static func key(_ bound: Bound, at place: FieldAccess) throws -> Self
}

extension PersistentOrderedKey where Bound == Self {
    @inlinable public func order<Reader: HeapReading & ~Copyable>(
        against bound: Self, in reader: borrowing Reader
    ) -> Int {
        self < bound ? -1 : self == bound ? 0 : 1
    }
    @inlinable public static func key(_ bound: Self, at place: FieldAccess) -> Self { bound }
}

extension Int: PersistentOrderedKey {}
extension Int32: PersistentOrderedKey {}
extension Int64: PersistentOrderedKey {}
extension UInt32: PersistentOrderedKey {}
extension UInt64: PersistentOrderedKey {}

/// By value; every NaN is one key behind all others.
extension Double: PersistentOrderedKey {
    @inlinable public func order<Reader: HeapReading & ~Copyable>(
        against bound: Double, in reader: borrowing Reader
    ) -> Int {
        if isNaN || bound.isNaN { return (isNaN ? 1 : 0) - (bound.isNaN ? 1 : 0) }
        return self < bound ? -1 : self == bound ? 0 : 1
    }
}

/// By bytes, which is the order of Unicode scalars.
extension PString: PersistentOrderedKey {
    @inlinable public func order<Reader: HeapReading & ~Copyable>(
        against bound: String, in reader: borrowing Reader
    ) -> Int {
        withBytes(in: reader) { own in
            withUTF8(of: bound) { other in
                for (a, b) in zip(own, other) where a != b { return a < b ? -1 : 1 }
                return own.count - other.count
            }
        }
    }
    @inlinable public static func key(_ bound: String, at place: FieldAccess) throws -> PString {
        try place.makeString(bound)
    }
}

/// A node of the tree, as what refers to it knows it: the buffer, how many pairs lie at or below it,
/// how many of its places are used.
@usableFromInline struct PSortedNode: BitwiseCopyable {
    @usableFromInline var buffer: UInt64 = 0
    @usableFromInline var count = 0
    @usableFromInline var used = 0
    @inlinable init() {}
    @usableFromInline static let bytes = 24
}

/// A leaf's place.
@usableFromInline
struct PSortedPair<Key: PersistentOrderedKey, Value: Persistable>: Persistable {
    @usableFromInline var key: Key
    @usableFromInline var value: Value

    @inlinable init(key: Key, value: Value) {
        self.key = key
        self.value = value
    }

    @inlinable static var valueOffset: Int {
        persistentFieldOffset(
            after: MemoryLayout<Key>.size, alignment: MemoryLayout<Value>.alignment)
    }

    @usableFromInline static var persistentLayout: TypeLayout {
        LayoutCache.layout(of: Self.self) {
            TypeLayout(
                structure: Self.self,
                name: "pair<\(Key.persistentLayout.name), \(Value.persistentLayout.name)>",
                [
                    TypeLayout.Part("key", Key.self, at: 0),
                    TypeLayout.Part("value", Value.self, at: valueOffset),
                ])
        }
    }
}

/// A branch's place: a node, and a key that is not above any of its keys and above all keys of the
/// nodes before it. The first place's key is not looked at.
@usableFromInline struct PSortedBranch<Key: PersistentOrderedKey>: Persistable {
    @usableFromInline var node: PSortedNode
    @usableFromInline var key: Key

    @inlinable init(node: PSortedNode, key: Key) {
        self.node = node
        self.key = key
    }

    @inlinable static var keyOffset: Int {
        persistentFieldOffset(after: PSortedNode.bytes, alignment: MemoryLayout<Key>.alignment)
    }

    @usableFromInline static var persistentLayout: TypeLayout {
        LayoutCache.layout(of: Self.self) {
            let key = Key.persistentLayout
            return TypeLayout(
                name: "branch<\(key.name)>", size: MemoryLayout<Self>.size,
                stride: MemoryLayout<Self>.stride, alignment: MemoryLayout<Self>.alignment,
                fields: key.fields, references: [0] + key.references.map { $0 + keyOffset })
        }
    }
}

/// A dictionary in the order of its keys, as a field of a persistent structure: a B+ tree that
/// knows its ranks, so that the nth pair and the number of keys in a range take no more than a
/// look-up.
///
/// Layout, 32 bytes: the root node (`PSortedNode`), the height. A leaf holds pairs, a branch nodes
/// and keys, both in order.
///
/// Invariants (`checkTree`)
/// 1. Keys ascend, without doubles; a branch's keys separate its nodes.
/// 2. All leaves lie at the same depth, the root's height.
/// 3. `count` of a node is the number of pairs below it; no node but an empty root has no place in
///    use, none more than its capacity.
///
/// A key's cell may serve as a separator after the key is gone: leave string keys to the collector,
/// never `tx.free` them.
public struct PSortedDictionary<Key: PersistentOrderedKey, Value: Persistable>: Persistable {
    @usableFromInline typealias Pair = PSortedPair<Key, Value>
    @usableFromInline typealias Branch = PSortedBranch<Key>
    @usableFromInline var root = PSortedNode()
    @usableFromInline var height = 0

    @inlinable public init() {}

    public static var persistentLayout: TypeLayout {
        LayoutCache.layout(of: Self.self) {
            let (key, value) = (Key.persistentLayout, Value.persistentLayout)
            return TypeLayout(
                name: "PSortedDictionary<\(key.name), \(value.name)>",
                size: MemoryLayout<Self>.size, stride: MemoryLayout<Self>.stride, alignment: 8,
                fields: key.fields + value.fields, references: [0])
        }
    }

    /// Places of a node whose places take `stride` bytes each.
    @inlinable static func capacity(_ stride: Int) -> Int {
        Swift.max(4, Swift.min(32, 4096 / stride))
    }
    @inlinable static func stride(level: Int) -> Int {
        level == 0 ? MemoryLayout<Pair>.stride : MemoryLayout<Branch>.stride
    }

    @inlinable public var count: Int { root.count }
    @inlinable public var isEmpty: Bool { root.count == 0 }
    /// Branches above each leaf.
    package var depth: Int { height }

    @inlinable static func place(_ node: PSortedNode, _ index: Int, level: Int) -> UInt64 {
        node.buffer &+ UInt64(truncatingIfNeeded: index &* stride(level: level))
    }

    /// Of a leaf, the first place whose key is not before the bound.
    @inlinable static func position<Reader: HeapReading & ~Copyable>(
        in leaf: PSortedNode, of bound: Key.Bound, by reader: borrowing Reader
    ) -> Int {
        var (low, high) = (0, leaf.used)
        while low < high {
            let middle = (low &+ high) / 2
            let key: Key = reader.load(place(leaf, middle, level: 0))
            if key.order(against: bound, in: reader) < 0 {
                low = middle &+ 1
            } else {
                high = middle
            }
        }
        return low
    }

    /// Of a branch, the place below which a bound lies.
    @inlinable static func child<Reader: HeapReading & ~Copyable>(
        of branch: PSortedNode, holding bound: Key.Bound, by reader: borrowing Reader
    ) -> Int {
        var (low, high) = (1, branch.used)
        while low < high {
            let middle = (low &+ high) / 2
            let key: Key = reader.load(
                place(branch, middle, level: 1) &+ UInt64(truncatingIfNeeded: Branch.keyOffset))
            if key.order(against: bound, in: reader) <= 0 {
                low = middle &+ 1
            } else {
                high = middle
            }
        }
        return low &- 1
    }

    /// The offset of a key's pair; 0 if there is none.
    @inlinable func find<Reader: HeapReading & ~Copyable>(
        _ bound: Key.Bound, in reader: borrowing Reader
    ) -> UInt64 {
        var node = root
        for _ in 0..<height {
            let index = Self.child(of: node, holding: bound, by: reader)
            node = reader.load(Self.place(node, index, level: 1))
        }
        let index = Self.position(in: node, of: bound, by: reader)
        guard index < node.used else { return 0 }
        let place = Self.place(node, index, level: 0)
        let key: Key = reader.load(place)
        return key.order(against: bound, in: reader) == 0 ? place : 0
    }

    @inlinable public func value<Reader: HeapReading & ~Copyable>(
        forKey key: Key.Bound, in reader: borrowing Reader
    ) -> Value? {
        let place = find(key, in: reader)
        return place == 0 ? nil : pair(at: place, in: reader).value
    }

    @inlinable func pair<Reader: HeapReading & ~Copyable>(
        at place: UInt64, in reader: borrowing Reader
    ) -> (key: Key, value: Value) {
        let pair: Pair = reader.load(place)
        return (pair.key, pair.value)
    }

    /// How many keys come before a bound.
    @inlinable public func rank<Reader: HeapReading & ~Copyable>(
        of bound: Key.Bound, in reader: borrowing Reader
    ) -> Int {
        var (node, rank) = (root, 0)
        for _ in 0..<height {
            let index = Self.child(of: node, holding: bound, by: reader)
            for before in 0..<index {
                let other: PSortedNode = reader.load(Self.place(node, before, level: 1))
                rank &+= other.count
            }
            node = reader.load(Self.place(node, index, level: 1))
        }
        return rank &+ Self.position(in: node, of: bound, by: reader)
    }

    /// The leaf that holds the pair of a rank, and its place there.
    @inlinable func leaf<Reader: HeapReading & ~Copyable>(
        atRank rank: Int, in reader: borrowing Reader
    ) -> (leaf: PSortedNode, index: Int) {
        precondition(rank >= 0 && rank < count, "index out of range")
        var (node, rank) = (root, rank)
        for _ in 0..<height {
            var index = 0
            var child: PSortedNode = reader.load(Self.place(node, 0, level: 1))
            while rank >= child.count {
                rank &-= child.count
                index &+= 1
                if index >= node.used { return lastPlace(of: node, in: reader) }
                child = reader.load(Self.place(node, index, level: 1))
            }
            node = child
        }
        return (node, rank)
    }

    /// In a transaction that has failed counts and nodes may disagree: any place will do.
    @usableFromInline func lastPlace<Reader: HeapReading & ~Copyable>(
        of node: PSortedNode, in reader: borrowing Reader
    ) -> (leaf: PSortedNode, index: Int) {
        precondition(reader.hasFailed, "the tree's counts are wrong")
        return (node, 0)
    }

    /// Verifies the invariants; throws the first that is broken.
    package func checkTree<Reader: HeapReading & ~Copyable>(in reader: borrowing Reader) throws {
        var last: Key.Bound?
        try check(root, height, in: reader, isRoot: true) { key, bound in
            guard let previous = last else {
                last = bound
                return
            }
            guard key.order(against: previous, in: reader) > 0 else {
                throw PersistentMemoryError.invariant("keys of a sorted dictionary do not ascend")
            }
            last = bound
        }
    }

    private func check<Reader: HeapReading & ~Copyable>(
        _ node: PSortedNode, _ level: Int, in reader: borrowing Reader, isRoot: Bool = false,
        visit: (Key, Key.Bound?) throws -> Void
    ) throws {
        let capacity = Self.capacity(Self.stride(level: Swift.min(level, 1)))
        guard node.used <= capacity, node.used > 0 || (isRoot && level == 0) else {
            throw PersistentMemoryError.invariant(
                "a node of a sorted dictionary has \(node.used) places")
        }
        var sum = 0
        for index in 0..<node.used {
            if level == 0 {
                let key: Key = reader.load(Self.place(node, index, level: 0))
                try visit(key, bound(of: key, in: reader))
                sum += 1
            } else {
                let branch: Branch = reader.load(Self.place(node, index, level: 1))
                if index > 0, let first = smallest(branch.node, level - 1, in: reader),
                    let bound = bound(of: branch.key, in: reader),
                    first.order(against: bound, in: reader) < 0
                {
                    throw PersistentMemoryError.invariant("a separator lies above its node's keys")
                }
                try check(branch.node, level - 1, in: reader, visit: visit)
                sum += branch.node.count
            }
        }
        guard sum == node.count else {
            throw PersistentMemoryError.invariant(
                "a node counts \(node.count) pairs and has \(sum)")
        }
    }

    private func smallest<Reader: HeapReading & ~Copyable>(
        _ node: PSortedNode, _ level: Int, in reader: borrowing Reader
    ) -> Key? {
        var node = node
        for _ in 0..<level { node = reader.load(Self.place(node, 0, level: 1)) }
        return node.used == 0 ? nil : reader.load(Self.place(node, 0, level: 0))
    }

    private func bound<Reader: HeapReading & ~Copyable>(
        of key: Key, in reader: borrowing Reader
    ) -> Key.Bound? {
        (key as? PString)?.string(in: reader) as? Key.Bound ?? key as? Key.Bound
    }
}
