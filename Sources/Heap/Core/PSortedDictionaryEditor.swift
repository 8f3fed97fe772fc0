import PersistentMemory

/// The writable view of an ordered dictionary (`PSortedDictionary`): a collection of its pairs in
/// order.
///
/// A subscript's setter cannot throw: where there is no room, the transaction throws at its end.
public struct PSortedDictionaryEditor<Key: PersistentOrderedKey, Value: Persistable> {
    @usableFromInline typealias Dictionary = PSortedDictionary<Key, Value>
    @usableFromInline let place: FieldAccess

    @inlinable public init(_ place: FieldAccess) { self.place = place }

    /// The dictionary as the transaction sees it.
    @inlinable public var value: PSortedDictionary<Key, Value> { place.get(0) }
    @inlinable public var count: Int { place.get(8) }
    @inlinable public var isEmpty: Bool { count == 0 }
    @inlinable var lane: LogLane { place.location.lane }
    @inlinable var reader: LaneReader { LaneReader(lane: lane) }

    /// The value of a key; setting nil removes the key.
    @inlinable public subscript(key: Key.Bound) -> Value? {
        get { value.value(forKey: key, in: reader) }
        nonmutating set {
            guard let newValue else {
                removeValue(forKey: key)
                return
            }
            place.attempt { try updateValue(newValue, forKey: key) }
        }
    }

    @inlinable
    public subscript(
        key: Key.Bound, default other: @autoclosure () -> Value
    ) -> Value {
        get { self[key] ?? other() }
        nonmutating set { self[key] = newValue }
    }

    /// Sets a key's value; returns the one it replaced. Throws why the transaction has failed, if it
    /// has.
    @inlinable @discardableResult
    public func updateValue(_ value: Value, forKey key: Key.Bound) throws -> Value? {
        if let failure = lane.state.pointee.failure { throw failure }
        let dictionary = self.value
        let found = dictionary.find(key, in: reader)
        guard found == 0 else {
            let at = found &+ UInt64(truncatingIfNeeded: Dictionary.Pair.valueOffset)
            let old = dictionary.pair(at: found, in: reader).value
            lane.store(value, at: at)
            return old
        }
        try insert(Dictionary.Pair(key: try Key.key(key, at: place), value: value), key)
        return nil
    }

    /// Removes a key; returns its value. Nodes that become small are joined.
    @inlinable @discardableResult
    public func removeValue(forKey key: Key.Bound) -> Value? {
        guard !reader.hasFailed, let old = self[key] else { return nil }
        remove(key)
        return old
    }

    /// Removes and returns the pair with the smallest key.
    @inlinable @discardableResult
    public func popFirst() -> (key: Key.Bound, value: Value)? where Key.Bound == Key.Viewed {
        guard !reader.hasFailed, let first = self.first else { return nil }
        let key = first.key.viewed(by: place.reader)
        remove(key)
        return (key, first.value)
    }

    /// Adds pairs; `combine` decides for keys that are there already, old value first.
    @inlinable
    public func merge(
        _ pairs: some Sequence<(Key.Bound, Value)>,
        uniquingKeysWith combine: (Value, Value) -> Value
    ) throws {
        for (key, value) in pairs {
            try updateValue(self[key].map { combine($0, value) } ?? value, forKey: key)
        }
    }

    /// Forgets all pairs. The nodes are left to the collector.
    public func removeAll() { place.set(0, PSortedDictionary<Key, Value>()) }

    /// Removes the pairs for which `condition` holds.
    @inlinable
    public func removeAll(where condition: (Element) throws -> Bool) rethrows
    where Key.Bound == Key.Viewed {
        let removed = try filter(condition).map { $0.key.viewed(by: place.reader) }
        for key in removed { removeValue(forKey: key) }
    }

    @usableFromInline func insert(_ pair: PSortedPair<Key, Value>, _ bound: Key.Bound) throws {
        let height: Int = place.get(24)
        let tree = SortedTree<Key, Value>(lane: lane, heap: place.heap)
        guard let right = try tree.insert(pair, bound, at: place.location.offset, level: height)
        else { return }
        try tree.raiseRoot(at: place.location.offset, level: height, beside: right)
        place.set(24, height + 1)
    }

    @usableFromInline func remove(_ bound: Key.Bound) {
        let height: Int = place.get(24)
        let tree = SortedTree<Key, Value>(lane: lane, heap: place.heap)
        tree.remove(bound, at: place.location.offset, level: height)
        let left = tree.lowerRoot(at: place.location.offset, level: height)
        if left != height { place.set(24, left) }
    }
}

extension PSortedDictionaryEditor: RandomAccessCollection {
    public typealias Element = (key: Key, value: Value)

    @inlinable public var startIndex: PSortedIndex { PSortedIndex(rank: 0) }
    @inlinable public var endIndex: PSortedIndex { PSortedIndex(rank: count) }
    @inlinable public subscript(index: PSortedIndex) -> Element {
        let dictionary = value
        let (leaf, at) = dictionary.leaf(atRank: index.rank, in: reader)
        return dictionary.pair(at: Dictionary.place(leaf, at, level: 0), in: reader)
    }
}

extension PSortedDictionaryEditor: CustomStringConvertible {
    public var description: String { value.viewed(by: place.reader).description }
}

/// The tree's changes, in one transaction. A node is named by the offset of its `PSortedNode`: in
/// the dictionary itself for the root, in a branch's place for others.
struct SortedTree<Key: PersistentOrderedKey, Value: Persistable> {
    typealias Tree = PSortedDictionary<Key, Value>
    typealias Branch = PSortedBranch<Key>
    let lane: LogLane
    let heap: PersistentHeap
    private var reader: LaneReader { LaneReader(lane: lane) }

    init(lane: LogLane, heap: PersistentHeap) {
        self.lane = lane
        self.heap = heap
    }

    // MARK: Insertion

    /// Adds a pair whose key is not there; returns the node to the right if this one was split.
    func insert(
        _ pair: PSortedPair<Key, Value>, _ bound: Key.Bound, at place: UInt64, level: Int
    ) throws -> Branch? {
        let node: PSortedNode = lane.load(place)
        if level == 0 {
            let index = Tree.position(in: node, of: bound, by: reader)
            return try put(pair, index, pairs: 1, key: pair.key, at: place, level: 0)
        }
        let index = Tree.child(of: node, holding: bound, by: reader)
        let below = Tree.place(node, index, level: 1)
        guard let right = try insert(pair, bound, at: below, level: level - 1) else {
            // `count` is the node's second word.
            lane.store(node.count + 1, at: place + 8)
            return nil
        }
        let pairs = right.node.count
        lane.store(node.count + 1 - pairs, at: place + 8)
        return try put(right, index + 1, pairs: pairs, key: right.key, at: place, level: level)
    }

    /// Puts a pair or a branch, with so many pairs in it, into a node, which is split if it is full.
    private func put<Slot: Persistable>(
        _ slot: Slot, _ index: Int, pairs: Int, key: Key, at place: UInt64, level: Int
    ) throws -> Branch? {
        var node: PSortedNode = lane.load(place)
        let capacity = Tree.capacity(MemoryLayout<Slot>.stride)
        if node.buffer == 0 { node.buffer = try newBuffer(Slot.self) }
        if node.used < capacity {
            open(slot, index, in: &node, pairs: pairs, level)
            lane.store(node, at: place)
            return nil
        }
        // Behind the last place nothing is moved: keys that arrive in order leave full nodes.
        var right = PSortedNode()
        right.buffer = try newBuffer(Slot.self)
        let kept = index == capacity ? capacity : capacity / 2
        move(capacity - kept, from: &node, at: kept, to: &right, level)
        if index > kept || kept == capacity {
            open(slot, index - kept, in: &right, pairs: pairs, level)
        } else {
            open(slot, index, in: &node, pairs: pairs, level)
        }
        lane.store(node, at: place)
        let first = Tree.place(right, 0, level: level)
        let separator: Key = lane.load(level == 0 ? first : first + UInt64(Branch.keyOffset))
        return Branch(node: right, key: right.used == 1 ? key : separator)
    }

    /// Makes a place free in a node with room and fills it.
    private func open<Slot: Persistable>(
        _ slot: Slot, _ index: Int, in node: inout PSortedNode, pairs: Int, _ level: Int
    ) {
        let stride = MemoryLayout<Slot>.stride
        let at = Tree.place(node, index, level: level)
        let moved = (node.used - index) * stride
        lane.announce(at, moved + MemoryLayout<Slot>.size)
        lane.seal()
        copy(moved, from: at, to: at + UInt64(stride))
        lane.store(slot, at: at)
        node.used += 1
        node.count += pairs
    }

    /// Moves a node's last places to the end of the node to its right or left.
    private func move(
        _ places: Int, from node: inout PSortedNode, at index: Int, to other: inout PSortedNode,
        _ level: Int
    ) {
        guard places > 0 else { return }
        let stride = Tree.stride(level: level)
        let (from, to) = (
            Tree.place(node, index, level: level), Tree.place(other, other.used, level: level)
        )
        copy(places * stride, from: from, to: to)
        var pairs = places
        if level > 0 {
            pairs = (index..<index + places).reduce(0) { sum, at in
                let child: PSortedNode = lane.load(Tree.place(node, at, level: 1))
                return sum + child.count
            }
        }
        node.used -= places
        node.count -= pairs
        other.used += places
        other.count += pairs
        clear(places * stride, at: from)
    }

    /// Puts a new root above the old one and the node to its right.
    func raiseRoot(at place: UInt64, level: Int, beside right: Branch) throws {
        let left: PSortedNode = lane.load(place)
        var root = PSortedNode()
        root.buffer = try newBuffer(Branch.self)
        root.used = 2
        root.count = left.count + right.node.count
        lane.store(Branch(node: left, key: right.key), at: Tree.place(root, 0, level: 1))
        lane.store(right, at: Tree.place(root, 1, level: 1))
        lane.store(root, at: place)
    }

    // MARK: Removal

    /// Removes a key that is there.
    func remove(_ bound: Key.Bound, at place: UInt64, level: Int) {
        var node: PSortedNode = lane.load(place)
        if level == 0 {
            close(Tree.position(in: node, of: bound, by: reader), in: &node, 0)
            node.count -= 1
        } else {
            let index = Tree.child(of: node, holding: bound, by: reader)
            let below = Tree.place(node, index, level: 1)
            remove(bound, at: below, level: level - 1)
            node.count -= 1
            join(index, in: &node, level)
        }
        if node.used == 0 {
            heap.freeLater(node.buffer)
            node = PSortedNode()
        }
        lane.store(node, at: place)
    }

    /// Takes an empty child out of a branch; joins a small one with a neighbour if both fit one node.
    private func join(_ index: Int, in node: inout PSortedNode, _ level: Int) {
        let child: PSortedNode = lane.load(Tree.place(node, index, level: 1))
        if child.used == 0 { return close(index, in: &node, level) }
        let capacity = Tree.capacity(Tree.stride(level: level - 1))
        guard child.used <= capacity / 4, node.used > 1 else { return }
        let at = index + 1 < node.used ? index : index - 1
        var left: PSortedNode = lane.load(Tree.place(node, at, level: 1))
        var right: Branch = lane.load(Tree.place(node, at + 1, level: 1))
        guard left.used + right.node.used <= capacity * 3 / 4 else { return }
        let joint = Tree.place(left, left.used, level: level - 1)
        let buffer = right.node.buffer
        move(right.node.used, from: &right.node, at: 0, to: &left, level - 1)
        // The key of a first place was not looked at until now.
        if level > 1 { lane.store(right.key, at: joint + UInt64(Branch.keyOffset)) }
        lane.store(left, at: Tree.place(node, at, level: 1))
        heap.freeLater(buffer)
        close(at + 1, in: &node, level)
    }

    /// Closes the gap that a place leaves.
    private func close(_ index: Int, in node: inout PSortedNode, _ level: Int) {
        let stride = Tree.stride(level: level)
        let at = Tree.place(node, index, level: level)
        let moved = (node.used - index - 1) * stride
        lane.announce(at, moved + stride)
        lane.seal()
        copy(moved, from: at + UInt64(stride), to: at)
        clear(stride, at: at + UInt64(moved))
        node.used -= 1
    }

    /// Takes branches with one place off the top; returns the height that is left.
    func lowerRoot(at place: UInt64, level: Int) -> Int {
        var (root, level): (PSortedNode, Int) = (lane.load(place), level)
        let before = level
        if root.used == 0 { level = 0 }
        while level > 0, root.used == 1 {
            heap.freeLater(root.buffer)
            root = lane.load(root.buffer)
            level -= 1
        }
        if level != before { lane.store(root, at: place) }
        return level
    }

    // MARK: Bytes

    private func newBuffer<Slot: Persistable>(_ type: Slot.Type) throws -> UInt64 {
        let stride = MemoryLayout<Slot>.stride
        return try heap.allocateBuffer(
            Slot.persistentLayout, bytes: Tree.capacity(stride) * stride, in: lane)
    }

    /// Copies bytes as the transaction sees them; the ranges may overlap.
    private func copy(_ bytes: Int, from: UInt64, to: UInt64) {
        guard bytes > 0 else { return }
        withUnsafeTemporaryAllocation(byteCount: bytes, alignment: 16) { buffer in
            guard let base = buffer.baseAddress else { return }
            lane.read(from, bytes, into: base)
            lane.store(UnsafeRawBufferPointer(buffer), at: to)
        }
    }

    /// Forgets what places held, so that it does not keep objects alive.
    private func clear(_ bytes: Int, at offset: UInt64) {
        withUnsafeTemporaryAllocation(byteCount: bytes, alignment: 16) { buffer in
            buffer.initializeMemory(as: UInt8.self, repeating: 0)
            lane.store(UnsafeRawBufferPointer(buffer), at: offset)
        }
    }
}
