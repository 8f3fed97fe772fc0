import PersistentHeap

// The data as it lies in the heap.

/// What a key holds.
@Persistent enum Kind: UInt8 { case string, list, hash, set, sortedSet }

/// The value of one key: 64 bytes, one cache line. For a string `text` counts, else the reference
/// named by `kind`.
@Persistent struct Item {
    var kind: Kind
    /// Milliseconds since 1970 at which the key is gone; 0 for never.
    var expiry: Int
    var text: PString
    var list: PRef<List>?
    var hash: PRef<Fields>?
    var set: PRef<MemberSet>?
    var sortedSet: PRef<SortedSet>?
}

@Persistent struct ListNode {
    var text: PString
    var previous: PRef<ListNode>?
    var next: PRef<ListNode>?
}

@Persistent struct List {
    var head: PRef<ListNode>?
    var tail: PRef<ListNode>?
    var count: Int
}

@Persistent struct Fields { var values: PDictionary<PString, PString> }

/// Members in no order, and where in the array each is: a random one is found at once.
@Persistent struct MemberSet {
    var places: PDictionary<PString, Int>
    var members: PArray<PString>
}

/// A node of a ranked tree (`RankedTree`), ordered by score, then by the bytes of the name.
@Persistent struct RankedNode {
    var score: Double
    var name: PString
    var left: PRef<RankedNode>?
    var right: PRef<RankedNode>?
    var priority: UInt64
    /// Nodes of this subtree.
    var count: Int
}

@Persistent struct SortedSet {
    var nodes: PDictionary<PString, PRef<RankedNode>>
    var top: PRef<RankedNode>?
}

/// All keys, and those with an expiry ordered by it.
@Persistent struct Database {
    var items: PDictionary<PString, PRef<Item>>
    var expiries: PRef<RankedNode>?
}
