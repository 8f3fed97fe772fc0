import ABI
import Kernel
import Store

/// What made the store that is mutated, and what is done with it afterwards. Both are the same in
/// every run.
enum StoreScenery {
    private static let data: UInt64 = 0x3000_0000

    /// Objects of every kind, waiting threads, pages in every state that a pair can be in, aborted
    /// versions, and a crash in the end.
    static func build(_ bench: Bench) throws {
        Scenery.build(bench)
        let pmo = Scenery.slot(bench.call(.pmoCreate, 300))
        bench.call(.map, 1, data, 300 * 4096, pmo, 0, 3)
        for page: UInt64 in 0..<24 { bench.store(page + 1, at: data + page * 4096) }
        bench.store(7, at: data + 200 * 4096)
        tick(bench)
        for page: UInt64 in 0..<12 { bench.store(page + 100, at: data + page * 4096) }
        bench.call(.pmoDecommit, pmo, 20, 2)
        let dead = Scenery.slot(bench.call(.pmoCreate, 200))
        bench.call(.memoryCopy, dead, 0, pmo, 0, 8 * 4096)
        tick(bench)
        bench.call(.capabilityDelete, dead)
        bench.call(.pmoDecommit, pmo, 22, 1)
        tick(bench)
        for round: UInt64 in 0..<3 {
            for page in round * 4..<12 { bench.store(page + 1000, at: data + page * 4096) }
            bench.store(9, at: data + (100 + round) * 4096)
            guard try bench.start() else { finding("scenery: no restart") }
            wake(bench)
            bench.store(round, at: data + round * 8192)
            tick(bench)
        }
        bench.store(5, at: data + 5 * 4096)
        bench.call(.notificationCreate)
        bench.store(5, at: data + 250 * 4096)
    }

    private static func wake(_ bench: Bench) {
        bench.handle(.interrupt)
        bench.focus()
    }

    private static func tick(_ bench: Bench) {
        bench.tick()
        bench.focus()
    }

    /// Goes on with a restored store: writes, new objects, commits, and one more restart. A number
    /// for the state that came to be, or nil if the kernel stopped.
    static func exercise(_ bench: Bench) throws -> UInt64? {
        bench.handle(.interrupt)
        if !bench.tryFocus() { return nil }
        for page: UInt64 in stride(from: 0, to: 30, by: 3) {
            bench.store(page + 5000, at: data + page * 4096)
        }
        bench.store(1, at: data + 280 * 4096)
        let pmo = bench.call(.pmoCreate, 20)
        if pmo >= 0 {
            bench.call(.map, 1, data + 0x100_0000, 20 * 4096, UInt64(pmo), 0, 3)
            for page: UInt64 in 0..<10 { bench.store(page, at: data + 0x100_0000 + page * 4096) }
            bench.call(.capabilityMint, UInt64(pmo), 0x13, 5)
        }
        bench.call(.pmoDecommit, 3, 0, 1)
        for _ in 0..<4 {
            bench.tick()
            if bench.isStopped || !bench.tryFocus() { return nil }
        }
        guard try bench.start() else { return nil }
        return bench.digest
    }
}
