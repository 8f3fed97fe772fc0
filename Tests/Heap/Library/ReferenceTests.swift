import Foundation
import PersistentHeap
import Testing

@Persistent struct Holder {
    var one: PRef<Node>?
    var sure: PRef<Node>
    var many: PArray<PRef<Node>>
    var named: PDictionary<Int, PRef<Node>>
}

/// A reference says whose it is: another heap's is refused where it is stored.
@Suite struct ReferenceTests {
    let own = TemporaryHeap()
    let other = TemporaryHeap()

    /// Two heaps with the same contents at the same offsets.
    private func open() throws -> (own: PersistentHeap, other: PersistentHeap) {
        (
            try own.open { $0.collectsAtOpen = false }, try other.open { $0.collectsAtOpen = false }
        )
    }

    private func fill(_ heap: PersistentHeap) throws -> (PRef<Node>, PRef<Holder>) {
        let node = try heap.root(named: "node", as: Node.self) { Node(value: 1, next: nil) }
        let holder = try heap.root(named: "holder", as: Holder.self) {
            Holder(one: nil, sure: node, many: PArray(), named: PDictionary())
        }
        return (node, holder)
    }

    @Test func anotherHeapsReferenceIsRefusedWhereverItIsStored() throws {
        let (heap, otherHeap) = try open()
        let (node, holder) = try fill(heap)
        let (foreign, _) = try fill(otherHeap)
        #expect(node.offset == foreign.offset && node != foreign)
        let refusal = HeapError.foreignReference(heap: own.path, other: other.path)
        #expect("\(refusal)".contains(own.path) && "\(refusal)".contains(other.path))
        let stores: [(borrowing Transaction) throws -> Void] = [
            { tx in tx.edit(holder).one = foreign },
            { tx in tx.edit(holder).sure = foreign },
            { tx in try tx.edit(holder).many.append(foreign) },
            { tx in tx.edit(holder).many[0] = foreign },
            { tx in _ = try tx.edit(holder).named.updateValue(foreign, forKey: 1) },
            { tx in tx.edit(node).next = foreign },
            { tx in _ = try tx.new(Node(value: 2, next: foreign)) },
            { tx in tx.replace(node, with: Node(value: 2, next: foreign)) },
            { tx in try tx.setRoot(named: "node", to: foreign) },
        ]
        try heap.transaction { tx in try tx.edit(holder).many.append(node) }
        for (number, store) in stores.enumerated() {
            for mode in [LogMode.redo, .undo] {
                #expect(throws: refusal, "store \(number), \(mode)") {
                    try heap.transaction(mode) { tx in try store(tx) }
                }
            }
        }
        #expect(heap[node].next == nil && heap[node].value == 1)
        #expect(heap[holder].many.elements(in: heap) == [node])
        // Its own are taken, and mean the same after a restart.
        try heap.transaction { tx in
            let edit = tx.edit(holder)
            edit.one = node
            edit.one = nil
            edit.one = edit.sure
            edit.many[0] = try tx.new(Node(value: 3, next: node))
            try edit.named.updateValue(node, forKey: 7)
        }
        heap.close()
        let again = try own.open()
        let found = try #require(try again.root(named: "holder", as: Holder.self))
        let one = try #require(again[found].one)
        #expect(again[one].value == 1)
        #expect(again[found].named.value(forKey: 7, in: again) == one)
        again.waitForCollector()
        again.collect()
        #expect(again[again[found].many.element(at: 0, in: again)].value == 3)
        try again.checkInvariants()
    }

    #if DEBUG
        @Test func aFreedReferenceIsRefused() throws {
            let heap = try own.open { $0.collectsAtOpen = false }
            let (_, holder) = try fill(heap)
            let node = try heap.transaction { tx in
                let node = try tx.new(Node(value: 5, next: nil))
                tx.edit(holder).one = node
                return node
            }
            try heap.transaction { tx in
                tx.edit(holder).one = nil
                tx.free(node)
            }
            try heap.transaction { tx in tx.edit(holder).named.removeAll() }
            try heap.transaction { tx in
                _ = try tx.edit(holder).named.updateValue(tx[holder].sure, forKey: 1)
            }
            let refusal = HeapError.freedReference(heap: own.path, offset: node.offset)
            #expect(throws: refusal) {
                try heap.transaction { tx in tx.edit(holder).one = node }
            }
            #expect(throws: refusal) {
                try heap.transaction { tx in try tx.setRoot(named: "node", to: node) }
            }
            #expect(heap[holder].one == nil)
        }
    #endif

    /// What is followed, not stored, stops the program: there is nothing to read.
    @Test func followingAnotherHeapsReferenceStopsWithBothNames() async {
        await #expect(processExitsWith: .failure) {
            let (own, other) = (TemporaryHeap(), TemporaryHeap())
            let (heap, otherHeap) = (try own.open(), try other.open())
            let node = try heap.root(named: "a", as: Node.self) { Node(value: 1, next: nil) }
            print(otherHeap[node].value)
        }
    }
}
