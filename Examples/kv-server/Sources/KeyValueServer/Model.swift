import PersistentHeap

/// What a key holds. Exactly one of the references is set, by kind.
@Persistent enum Kind: UInt8 { case string, list, hash, sortedSet }

@Persistent struct Item {
    var kind: Kind
    /// Milliseconds since 1970 at which the key is gone; 0 for never.
    var expiry: Int
    var text: PString
    var list: PRef<ListNodeEnds>?
    var hash: PRef<Fields>?
    var sortedSet: PRef<SortedSet>?
}

@Persistent struct ListNode {
    var text: PString
    var previous: PRef<ListNode>?
    var next: PRef<ListNode>?
}

@Persistent struct ListNodeEnds {
    var head: PRef<ListNode>?
    var tail: PRef<ListNode>?
    var count: Int
}

@Persistent struct Fields { var values: PDictionary<PString, PString> }

/// One member; its score and its name order it.
@Persistent struct Member {
    var score: Double
    var name: PString
}

/// Scores by member, and members in order.
@Persistent struct SortedSet {
    var scores: PDictionary<PString, Double>
    var members: PArray<Member>
}

@Persistent struct Database { var items: PDictionary<PString, PRef<Item>> }
