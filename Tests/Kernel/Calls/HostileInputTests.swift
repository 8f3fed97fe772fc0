import ABI
import MachineSim
import Store
import Testing

@testable import Kernel

/// What the fuzzers found (Fuzz/README.md), each as a case that anybody can read.
@Suite struct HostileInputTests {
    /// Boots a bundle on an empty store. The reason why the machine stopped, or 0.
    private func stopReason(bundle: [UInt8]) throws -> UInt64 {
        let nvm = SimulatedNVM(frameCount: 4096, domain: .coherentCache)
        try Store.format(
            nvm,
            identity: StoreIdentity(
                uuidLow: 1, uuidHigh: 2, frameCount: 4096, domain: .coherentCache, created: 0))
        var kernel = try Kernel(
            machine: CallMachine(nvm: nvm, coreCount: 1), options: KernelOptions())
        let started = bundle.withUnsafeBytes { kernel.boot(bundle: $0) }
        let reason = nvm.load(
            StoreLayout.statistics.offset + UInt64(Statistic.stopReason.rawValue) * 8)
        #expect(started == (reason == 0))
        _ = kernel.tearDown()
        return reason
    }

    /// The first process's program begins 24 bytes behind the start of the ELF header with its
    /// entry point.
    @Test func aProgramThatStartsInTheKernelIsRefused() throws {
        var bundle = Bench.bundle
        let good = try stopReason(bundle: bundle)
        #expect(good == 0)
        let header = bundle.count - 4096
        for byte in 24..<32 { bundle[header + byte] = 0xFF }
        let bad = try stopReason(bundle: bundle)
        #expect(bad == 3)
    }

    @Test func aRingHeaderMayHoldAnything() throws {
        let bench = try Bench(domain: .cacheLineFlush)
        #expect(bench.call(.map, 1, 0x2000_0000, 65 * 4096, 4, 0, 3) == 0)
        let ring = StoreLayout.outputRing.offset
        for capacity: UInt64 in [0, 1, 1 << 34, 1 << 63, .max] {
            for local: UInt64 in [0, 5, 1 << 34, .max - 7, .max] {
                bench.store(capacity, at: 0x2000_0000 + Ring.capacityOffset)
                bench.store(local, at: 0x2000_0000 + Ring.localOffset)
                bench.tick()
                #expect(bench.nvm.load(ring + Ring.publishedOffset) == local)
            }
        }
    }

    @Test func memoryIsSharedOnlyByThoseWhoMayGrantIt() throws {
        let bench = try Bench()
        let pmo = UInt64(bench.call(.pmoCreate, 4))
        let held = UInt64(
            bench.call(.capabilityMint, pmo, UInt64(Rights([.read, .write]).rawValue), 0))
        #expect(
            bench.call(.capabilityMint, held, UInt64(Rights.read.rawValue), 0) == -NativeError
                .noRights.rawValue)
        #expect(bench.call(.connectionCreate, held) == -NativeError.noRights.rawValue)
        #expect(bench.call(.connectionCreate, pmo) >= 0)
    }

    /// What the store refers to was damaged while the machine ran: nothing is committed over it,
    /// and the machine stops.
    @Test func damageFoundByACheckpointStopsTheMachine() throws {
        let bench = try Bench()
        bench.tick()
        let committed = bench.kernel.pointee.store.committed
        bench.call(.notificationCreate)
        bench.nvm.damage(word: Int(StoreLayout.recordRoots.offset / 8), to: 0)
        bench.machine.state.time += 2_000_000
        bench.kernel.pointee.handle(.timer, core: 0)
        #expect(bench.machine.state.isHalted)
        #expect(bench.machine.state.text.contains("damaged"))
        let after = bench.kernel.pointee.store.committed
        #expect(after == committed)
    }

    /// Damage met inside an entry whose checkpoint is due: what the entry did is not committed.
    @Test(arguments: [true, false]) func damageMetInAnEntryIsNotCommitted(bySystemCall: Bool) throws
    {
        let bench = try Bench()
        let address: UInt64 = 0x1000_0000
        let slot = UInt64(bench.call(.pmoCreate, 4))
        #expect(bench.call(.map, 1, address, 4 * pageSize, slot, 0, 3) == 0)
        bench.store(1, at: address)
        bench.tick()
        try bench.powerCut()
        let note = UInt64(bench.call(.notificationCreate))
        bench.tick()
        bench.call(.notificationSignal, note)
        let kernel = bench.kernel
        let thread = try #require(kernel.pointee.cores[0].current)
        let mapped = kernel.pointee.region(thread.pointee.space, at: UserAddress(address))
        let region = try #require(mapped)
        let found = try region.pointee.pmo.pointee.tree.pair(0, in: kernel.pointee.store)
        let pair = Int(try #require(found) / 8)
        // One bit in the sums of both entries: neither is believed.
        for word in pair..<pair + 4 {
            bench.nvm.damage(word: word, to: bench.nvm.load(UInt64(word) * 8) ^ 2)
        }
        let committed = kernel.pointee.store.committed
        bench.machine.state.time += 2_000_000
        if bySystemCall {
            bench.callUnchecked(.memoryCopy, [slot, 0, slot, 8, 8])
        } else {
            kernel.pointee.handle(
                .pageFault(address: address, isWrite: true, isExecute: false, errorCode: 0), core: 0
            )
        }
        #expect(bench.machine.state.isHalted)
        #expect(bench.machine.state.text.contains("damaged"))
        #expect(kernel.pointee.store.committed == committed)
    }

    /// The console's ring is memory like any other: it may be given up, and its place in the pool is
    /// then another PMO's, which is no ring.
    @Test func aRingThatIsGivenUpIsNoRingAnyMore() throws {
        let bench = try Bench()
        bench.tick()
        #expect(bench.call(.capabilityDelete, UInt64(RootSlot.outputRing.value)) == 0)
        bench.tick()
        bench.tick()
        for _ in 0..<40 { #expect(bench.call(.pmoCreate, 4) >= 0) }
        bench.tick()
        #expect(bench.kernel.pointee.rings[.consoleOutput] == nil)
        #expect(StoreChecker.check(bench.nvm).isGood)
        try bench.powerCut()
        #expect(!bench.machine.state.isHalted)
    }

    /// A write that a broken device lost: the record is older than the committed version.
    @Test func aLostRecordIsRefusedAtTheRestore() throws {
        let bench = try Bench()
        let slot = UInt64(bench.call(.notificationCreate))
        bench.tick()
        let words = (0..<Int(bench.nvm.frameCount) * 512).map { bench.nvm.load(UInt64($0) * 8) }
        bench.call(.notificationSignal, slot)
        bench.tick()
        // Slots of two lines each, in the frames that changed: the notification's, put back as it
        // was.
        let store = try Store(reading: bench.nvm)
        defer { store.close() }
        var stale: [Int] = []
        for index in 1..<store.lastCommit.smallRecords {
            guard let view = try store.record(index, at: store.committed),
                view.kind == ObjectKind.notification.rawValue,
                let offset = try store.recordOffset(index)
            else { continue }
            stale = Array(Int(offset / 8) + view.slot * 16..<Int(offset / 8) + view.slot * 16 + 16)
        }
        #expect(stale.contains { bench.nvm.load(UInt64($0) * 8) != words[$0] })
        for word in stale { bench.nvm.damage(word: word, to: words[word]) }
        var kernel = try Kernel(
            machine: CallMachine<SimulatedNVM>(nvm: bench.nvm, coreCount: 1),
            options: KernelOptions())
        let started = kernel.boot(bundle: UnsafeRawBufferPointer(start: nil, count: 0))
        #expect(!started)
        let machine = kernel.tearDown()
        #expect(machine.state.text.contains("a write was lost"))
    }
}
