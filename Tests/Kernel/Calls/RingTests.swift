import ABI
import Kernel
import MachineSim
import Store
import Testing

/// Rings that are made while the system runs: found by number, on eternal frames of their own, in
/// the version or not in it.
@Suite struct RingTests {
    private let system = UInt64(RootSlot.system.value)

    private func find(_ number: UInt64, _ nvm: SimulatedNVM) throws -> (FrameNumber, UInt64)? {
        let store = try Store(reading: nvm)
        defer { store.close() }
        return store.ring(try #require(RingNumber(number)))
    }

    @Test func aRingIsFoundOnceItsVersionIsCommitted() throws {
        let bench = try Bench()
        bench.tick()
        let slot = bench.call(.ringCreate, system, 2, 5)
        #expect(slot >= 0)
        #expect(try find(2, bench.nvm) == nil)
        bench.tick()
        let (first, frames) = try #require(try find(2, bench.nvm))
        #expect(frames == 5)
        #expect(bench.nvm.load(first.offset) == Ring.magic)
        #expect(bench.nvm.load(first.offset + Ring.capacityOffset) == 4 * pageSize)

        #expect(bench.call(.map, 1, 0x2000_0000, 5 * 4096, UInt64(slot), 0, 3) == 0)
        bench.store(64, at: 0x2000_0000 + Ring.localOffset)
        #expect(bench.nvm.load(first.offset + Ring.publishedOffset) == 0)
        bench.tick()
        #expect(bench.nvm.load(first.offset + Ring.publishedOffset) == 64)
        bench.store(128, at: 0x2000_0000 + Ring.localOffset)
        try bench.powerCut()
        #expect(bench.nvm.load(first.offset + Ring.localOffset) == 64)
        #expect(try find(2, bench.nvm)?.0 == first)
        #expect(StoreChecker.check(bench.nvm).isGood)
    }

    @Test func whatCannotBeIsRefused() throws {
        let bench = try Bench()
        let badArgument = -NativeError.badArgument.rawValue
        #expect(bench.call(.ringCreate, system, 0, 5) == badArgument, "the console's")
        #expect(bench.call(.ringCreate, system, 64, 5) == badArgument)
        for pages: UInt64 in [0, 1, 4, 1026, 2049, .max] {
            #expect(bench.call(.ringCreate, system, 2, pages) == badArgument, "\(pages)")
        }
        #expect(bench.call(.ringCreate, 0, 2, 5) < 0, "no authority")
        #expect(bench.call(.ringCreate, system, 2, 5) >= 0)
        #expect(bench.call(.ringCreate, system, 2, 5) == badArgument, "taken")
        let room = StoreLayout(frameCount: 4096).eternalFrames
        #expect(room == 128)
        #expect(bench.call(.ringCreate, system, 4, 129) == -NativeError.noMemory.rawValue)
        #expect(bench.call(.ringCreate, system, 4, 65) >= 0)
        #expect(bench.call(.ringCreate, system, 6, 65) == -NativeError.noMemory.rawValue)
        #expect(bench.call(.ringCreate, system, 6, 33) >= 0)
        bench.tick()
        #expect(StoreChecker.check(bench.nvm).isGood)
    }

    @Test func aDeadRingsFramesAreKeptUntilItsDeathIsCommitted() throws {
        let bench = try Bench()
        let slot = UInt64(bench.call(.ringCreate, system, 2, 65))
        bench.tick()
        let (first, _) = try #require(try find(2, bench.nvm))
        #expect(bench.call(.capabilityDelete, slot) == 0)
        #expect(bench.call(.ringCreate, system, 4, 65) < 0, "the committed version needs them")
        bench.tick()
        bench.tick()
        #expect(try find(2, bench.nvm) == nil)
        #expect(bench.call(.ringCreate, system, 4, 65) >= 0)
        bench.tick()
        #expect(try find(4, bench.nvm)?.0 == first)
        try bench.powerCut()
        #expect(try find(4, bench.nvm)?.0 == first)
        #expect(try find(2, bench.nvm) == nil)
    }

    /// A power cut at every persist step while rings come and go: the restored kernel's directory
    /// names the rings of the committed version, and no others.
    @Test(arguments: [PersistenceDomain.coherentCache, .cacheLineFlush, .hostFlush])
    func everyStepMayCrash(domain: PersistenceDomain) throws {
        let bench = try Bench(frames: 1024, domain: domain)
        bench.tick()
        var crashes = 0
        bench.nvm.onStep = { _ in
            bench.nvm.nextStop = bench.nvm.steps + 7
            let choices = bench.nvm.crashChoices
            for survival in [Survival.none, .all, .random(bench.nvm.steps)] {
                bench.nvm.withCrash(survival, choices) {
                    crashes += 1
                    expectWhole(bench.nvm)
                }
            }
        }
        bench.nvm.nextStop = bench.nvm.steps
        let slot = UInt64(bench.call(.ringCreate, system, 2, 5))
        bench.tick()
        #expect(bench.call(.ringCreate, system, 3, 17) >= 0)
        bench.tick()
        #expect(bench.call(.capabilityDelete, slot) == 0)
        bench.tick()
        #expect(bench.call(.ringCreate, system, 2, 9) >= 0)
        bench.tick()
        bench.nvm.onStep = nil
        #expect(crashes > 50)
    }

    private func expectWhole(_ nvm: SimulatedNVM) {
        #expect(StoreChecker.check(nvm).isGood)
        do {
            var options = KernelOptions()
            options.smallObjects = 4096
            options.largeObjects = 1024
            let machine = CallMachine<SimulatedNVM>(nvm: nvm, coreCount: 1)
            var kernel = try Kernel(machine: machine, options: options)
            let started = kernel.boot(bundle: UnsafeRawBufferPointer(start: nil, count: 0))
            #expect(started, "\(machine.state.text)")
            for number in 0..<UInt64(RingNumber.count) {
                let found = kernel.store.ring(try #require(RingNumber(number)))
                guard let (first, frames) = found else { continue }
                #expect(nvm.load(first.offset) == Ring.magic, "ring \(number)")
                #expect(
                    nvm.load(first.offset + Ring.capacityOffset) == (frames - 1) * pageSize,
                    "ring \(number)")
            }
            _ = kernel.tearDown()
        } catch { Issue.record("\(error)") }
    }
}
