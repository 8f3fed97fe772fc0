import PersistentHeap
import Testing

@Persistent("Account") private struct AccountV1 {
    var cents: Int
    var next: PRef<AccountV1>?
}

@Persistent("Account") private struct AccountV2 {
    var cents: Int
    var currency: Int
    var next: PRef<AccountV2>?
}

@Suite struct MigrationTests {
    private func makeOld(_ file: TemporaryHeap) throws {
        let heap = try file.open()
        let root = try heap.root(named: "account", as: AccountV1.self) {
            AccountV1(cents: 0, next: nil)
        }
        for cents in 1...20 {
            try heap.transaction { tx in
                tx.edit(root).next = try tx.new(AccountV1(cents: cents, next: tx[root].next))
            }
        }
        heap.close()
    }

    @Test func aChangedLayoutIsRefusedByName() throws {
        let file = TemporaryHeap()
        try makeOld(file)
        let heap = try file.open()
        do {
            _ = try heap.root(named: "account", as: AccountV2.self)
            Issue.record("a changed layout was accepted")
        } catch HeapError.changedLayout(let type, let stored, let current) {
            #expect(type == "Account")
            #expect(stored != current)
        }
    }

    @Test func aMigrationRewritesEveryObject() throws {
        let file = TemporaryHeap()
        try makeOld(file)
        for round in 0..<2 {
            let heap = try file.open {
                $0.migrations = [
                    Migration(from: AccountV1.self, to: AccountV2.self) {
                        AccountV2(
                            cents: $0.cents, currency: 978, next: PRef(word: $0.next?.word ?? 0))
                    }
                ]
            }
            #expect(heap.recovery.migratedTypes == (round == 0 ? ["Account"] : []))
            let root = try #require(try heap.root(named: "account", as: AccountV2.self))
            var sum = 0
            var next: PRef<AccountV2>? = root
            while let account = next {
                #expect(heap[account].currency == 978)
                sum += heap[account].cents
                next = heap[account].next
            }
            #expect(sum == 210)
            heap.waitForCollector()
            try heap.checkInvariants()
            heap.close()
        }
    }
}
