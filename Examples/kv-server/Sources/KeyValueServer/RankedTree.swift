import Glibc
import PersistentHeap

/// A treap in the heap: nodes in order of score and name, each knowing the size of its subtree, so
/// that insertion, removal, rank and element-at-rank take a logarithmic number of steps.
///
/// Invariants
/// 1. In order, nodes ascend by (score, bytes of the name).
/// 2. A node's priority is not below that of its children.
/// 3. `count` is one more than the counts of the children together.
enum RankedTree {
    typealias Node = PRef<RankedNode>

    static func count(_ node: Node?, _ tx: borrowing Transaction) -> Int {
        node.map { tx.edit($0).count } ?? 0
    }

    /// Adds a node that is in no tree; returns the new top.
    static func inserting(_ node: Node, into top: Node?, _ tx: borrowing Transaction) -> Node {
        guard let top else { return node }
        let edit = tx.edit(top)
        if tx.edit(node).priority > edit.priority {
            let (left, right) = split(top, at: node, tx)
            link(node, left, right, tx)
            return node
        }
        if precedes(top, node, tx) {
            edit.right = inserting(node, into: edit.right, tx)
        } else {
            edit.left = inserting(node, into: edit.left, tx)
        }
        edit.count += 1
        return top
    }

    /// Takes out a node that is in the tree; returns the new top.
    static func removing(_ node: Node, from top: Node, _ tx: borrowing Transaction) -> Node? {
        let edit = tx.edit(top)
        if top == node {
            let merged = merge(edit.left, edit.right, tx)
            link(node, nil, nil, tx)
            return merged
        }
        if precedes(top, node, tx) {
            edit.right = edit.right.flatMap { removing(node, from: $0, tx) }
        } else {
            edit.left = edit.left.flatMap { removing(node, from: $0, tx) }
        }
        edit.count -= 1
        return top
    }

    /// The node with a score and a name.
    static func find(
        _ score: Double, _ name: UnsafeRawBufferPointer, in top: Node, _ tx: borrowing Transaction
    ) -> Node? {
        var next: Node? = top
        while let at = next {
            let edit = tx.edit(at)
            let order = edit.name.withBytes(in: tx) { compare(edit.score, $0, score, name) }
            if order == 0 { return at }
            next = order < 0 ? edit.right : edit.left
        }
        return nil
    }

    /// How many nodes come before one that is in the tree.
    static func rank(of node: Node, in top: Node?, _ tx: borrowing Transaction) -> Int {
        var rank = 0
        var next = top
        while let at = next, at != node {
            let edit = tx.edit(at)
            if precedes(at, node, tx) {
                rank += count(edit.left, tx) + 1
                next = edit.right
            } else {
                next = edit.left
            }
        }
        return rank + (next.map { count(tx.edit($0).left, tx) } ?? 0)
    }

    /// How many nodes have a score below a limit, or up to it.
    static func count(
        below limit: Double, orEqual: Bool, in top: Node?, _ tx: borrowing Transaction
    ) -> Int {
        var found = 0
        var next = top
        while let at = next {
            let edit = tx.edit(at)
            if edit.score < limit || (orEqual && edit.score == limit) {
                found += count(edit.left, tx) + 1
                next = edit.right
            } else {
                next = edit.left
            }
        }
        return found
    }

    /// Calls `body` with the nodes of these ranks, in order.
    static func forEach(
        _ ranks: Range<Int>, in top: Node?, _ tx: borrowing Transaction, _ body: (Node) -> Void
    ) {
        guard let top, !ranks.isEmpty else { return }
        let edit = tx.edit(top)
        let before = count(edit.left, tx)
        if ranks.lowerBound < before {
            forEach(ranks.lowerBound..<min(ranks.upperBound, before), in: edit.left, tx, body)
        }
        if ranks.contains(before) { body(top) }
        if ranks.upperBound > before + 1 {
            let from = max(0, ranks.lowerBound - before - 1)
            forEach(from..<(ranks.upperBound - before - 1), in: edit.right, tx, body)
        }
    }

    // MARK: Steps

    /// Parts a tree into the nodes before and those behind a node that is not in it.
    private static func split(_ top: Node?, at node: Node, _ tx: borrowing Transaction) -> (
        Node?, Node?
    ) {
        guard let top else { return (nil, nil) }
        let edit = tx.edit(top)
        if precedes(top, node, tx) {
            let (left, right) = split(edit.right, at: node, tx)
            link(top, edit.left, left, tx)
            return (top, right)
        }
        let (left, right) = split(edit.left, at: node, tx)
        link(top, right, edit.right, tx)
        return (left, top)
    }

    private static func merge(_ left: Node?, _ right: Node?, _ tx: borrowing Transaction) -> Node? {
        guard let left else { return right }
        guard let right else { return left }
        let (first, second) = (tx.edit(left), tx.edit(right))
        if first.priority > second.priority {
            link(left, first.left, merge(first.right, right, tx), tx)
            return left
        }
        link(right, merge(left, second.left, tx), second.right, tx)
        return right
    }

    private static func link(
        _ node: Node, _ left: Node?, _ right: Node?, _ tx: borrowing Transaction
    ) {
        let edit = tx.edit(node)
        edit.left = left
        edit.right = right
        edit.count = count(left, tx) + count(right, tx) + 1
    }

    private static func precedes(_ first: Node, _ second: Node, _ tx: borrowing Transaction) -> Bool
    {
        let (a, b) = (tx.edit(first), tx.edit(second))
        return a.name.withBytes(in: tx) { one in
            b.name.withBytes(in: tx) { other in compare(a.score, one, b.score, other) < 0 }
        }
    }

    /// Negative if the first comes before the second, 0 if they are the same.
    private static func compare(
        _ score: Double, _ name: UnsafeRawBufferPointer, _ otherScore: Double,
        _ otherName: UnsafeRawBufferPointer
    ) -> Int {
        if score != otherScore { return score < otherScore ? -1 : 1 }
        let common = min(name.count, otherName.count)
        if common > 0, let a = name.baseAddress, let b = otherName.baseAddress {
            let order = memcmp(a, b, common)
            if order != 0 { return Int(order) }
        }
        return name.count - otherName.count
    }
}
