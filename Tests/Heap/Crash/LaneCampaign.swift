import PersistentHeap

@Persistent struct LaneAccount {
    var left: Int
    var right: Int
    var touched: Int
    var notes: PRef<LaneNote>?
}

@Persistent struct LaneNote {
    var value: Int
    var next: PRef<LaneNote>?
}

extension CrashCampaign {
    private static let accountCount = 5
    private static var laneOptions: HeapOptions {
        var options = Self.options
        options.laneCount = 4
        options.isolation = .locking
        return options
    }

    /// What one account may hold: it keeps left + right and the notes in step with `touched`.
    private struct Account: Equatable {
        var touched = 0
        var left = 100
    }

    private struct Running {
        let lane: LogLane
        let account: Int
        let amount: Int
        var steps = 0
    }

    /// Three lanes, each in a transaction of its own most of the time, advanced in a random order:
    /// a cut in one's commit finds the others with logged ranges and changed words. Accounts pass
    /// from lane to lane.
    mutating func runLanes(_ mode: LogMode) throws {
        var random = SplitMix64(seed: seed)
        var allowed = [[Account]](repeating: [Account()], count: Self.accountCount)
        var isMade = false
        let probe = Probe(
            seed: seed, bytes: Self.bytes, images: imagesPerStep, options: Self.laneOptions
        ) { heap in
            try Self.check(heap, allowed, isMade)
        }
        let memory = SimulatedMemory(bytes: Self.bytes)
        memory.journals = journals
        let heap = try PersistentHeap(region: memory.region(), options: Self.laneOptions)
        let accounts = try (0..<Self.accountCount).map { index in
            try heap.root(named: "account \(index)", as: LaneAccount.self) {
                LaneAccount(left: 100, right: -100, touched: 0, notes: nil)
            }
        }
        isMade = true
        memory.onStep = { probe.crash($0) }
        var running = [Running?](repeating: nil, count: 3)
        for _ in 0..<(operations * 5) {
            let index = Int(random.next() % 3)
            guard var transaction = running[index] else {
                let account = Int(random.next() % UInt64(Self.accountCount))
                if running.contains(where: { $0?.account == account }) { continue }
                let lane = heap.enterLocking(mode, thread: UInt64(index + 1))
                try heap.transaction(on: lane) { tx in try tx.lock(accounts[account]) }
                running[index] = Running(
                    lane: lane, account: account, amount: Int(random.next() % 50))
                continue
            }
            let number = transaction.account
            if transaction.steps < 2 {
                try heap.transaction(on: transaction.lane) { tx in
                    try Self.advance(tx, accounts[number], transaction.amount, transaction.steps)
                }
                transaction.steps += 1
                running[index] = transaction
            } else {
                running[index] = nil
                let before = allowed[number][0]
                if random.next() % 4 == 0 {
                    heap.failLocking(transaction.lane)
                } else {
                    let after = Account(
                        touched: before.touched + 1, left: before.left + transaction.amount)
                    allowed[number] = [before, after]
                    try heap.leaveLocking(transaction.lane)
                    allowed[number] = [after]
                }
            }
        }
        for transaction in running.compactMap({ $0 }) { heap.failLocking(transaction.lane) }
        memory.onStep = nil
        try Self.check(heap, allowed, true)
        try heap.checkInvariants()
        try finish(probe)
    }

    /// The two halves of a transaction: between them the account is not in step.
    private static func advance(
        _ tx: borrowing Transaction, _ account: PRef<LaneAccount>, _ amount: Int, _ step: Int
    ) throws {
        let edit = tx.edit(account)
        if step == 0 {
            edit.left += amount
            edit.touched += 1
        } else {
            edit.right -= amount
            edit.notes = try tx.new(LaneNote(value: edit.touched, next: edit.notes))
        }
    }

    private static func check(_ heap: PersistentHeap, _ allowed: [[Account]], _ isMade: Bool) throws
    {
        for (index, states) in allowed.enumerated() {
            guard let account = try heap.root(named: "account \(index)", as: LaneAccount.self)
            else {
                if isMade { throw CrashFailure("account \(index) is gone") } else { return }
            }
            let value = heap[account]
            var notes = 0
            var next = value.notes
            while let note = next, notes <= value.touched {
                guard heap[note].value == value.touched - notes else {
                    throw CrashFailure("a note is wrong")
                }
                notes += 1
                next = heap[note].next
            }
            guard value.left + value.right == 0, notes == value.touched,
                states.contains(Account(touched: value.touched, left: value.left))
            else {
                throw CrashFailure(
                    "account \(index) is \(value) with \(notes) notes, expected one of \(states)")
            }
        }
    }
}
