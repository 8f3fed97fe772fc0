import ABI
import Store
import Testing

/// The native calls one by one, on a kernel without processors.
@Suite struct CallTests {
    private func error(_ error: NativeError) -> Int64 { -error.rawValue }

    @Test func theFirstProcessStartsWithItsCapabilities() throws {
        let bench = try Bench()
        #expect(bench.registers.rip == Bench.programAddress)
        #expect(bench.call(.null) == 0)
        let kinds: [ObjectKind] = [
            .capGroup, .vmSpace, .thread, .pmo, .pmo, .pmo, .irqNotification, .system, .pmo,
        ]
        for (slot, kind) in kinds.enumerated() {
            #expect(bench.call(.objectInfo, UInt64(slot), Bench.stackTop - 4096) == 0)
            #expect(bench.load(Bench.stackTop - 4096) == UInt64(kind.rawValue))
        }
        #expect(bench.call(.objectInfo, 9, Bench.stackTop - 4096) == error(.noCapability))
    }

    @Test func memorySurvivesAPowerCutAsItWasCommitted() throws {
        let bench = try Bench()
        let slot = UInt64(bench.call(.pmoCreate, 16))
        #expect(bench.call(.map, 1, 0x1000_0000, 16 * 4096, slot, 0, 3) == 0)
        bench.store(11, at: 0x1000_0000)
        bench.store(12, at: 0x1000_1000)
        bench.tick()
        bench.store(21, at: 0x1000_0000)
        bench.store(22, at: 0x1000_2000)
        try bench.powerCut()
        #expect(bench.load(0x1000_0000) == 11)
        #expect(bench.load(0x1000_1000) == 12)
        #expect(bench.load(0x1000_2000) == 0)
        bench.store(31, at: 0x1000_0000)
        bench.tick()
        try bench.powerCut()
        #expect(bench.load(0x1000_0000) == 31)
        #expect(bench.load(0x1000_2000) == 0)
    }

    @Test func anAbortedPageStaysAbortedAfterLaterCommits() throws {
        let bench = try Bench()
        let slot = UInt64(bench.call(.pmoCreate, 16))
        #expect(bench.call(.map, 1, 0x1000_0000, 16 * 4096, slot, 0, 3) == 0)
        bench.store(1, at: 0x1000_0000)
        bench.tick()
        bench.store(2, at: 0x1000_0000)
        try bench.powerCut()
        for _ in 0..<5 { bench.tick() }
        try bench.powerCut()
        #expect(bench.load(0x1000_0000) == 1)
    }

    @Test func hundredsOfPowerCutsFillAndScrubTheHistory() throws {
        let bench = try Bench()
        let slot = UInt64(bench.call(.pmoCreate, 16))
        #expect(bench.call(.map, 1, 0x1000_0000, 16 * 4096, slot, 0, 3) == 0)
        for round in 1...600 as ClosedRange<UInt64> {
            bench.store(round, at: 0x1000_0000)
            bench.tick()
            bench.store(9999, at: 0x1000_0000)
            bench.store(9999, at: 0x1000_1000 + round % 8 * 4096)
            try bench.powerCut()
            #expect(bench.load(0x1000_0000) == round)
            #expect(bench.load(0x1000_1000 + round % 8 * 4096) == 0)
        }
    }

    @Test func aCheckpointCallHasReturnedInTheVersionItMade() throws {
        let bench = try Bench()
        let version = bench.call(.checkpoint, 7)
        #expect(bench.call(.clockRead, 3) == version)
        bench.call(.null)
        try bench.powerCut()
        #expect(Int64(bench.registers.rax) == version)
    }

    @Test func rightsAreEnforcedAndOnlyShrink() throws {
        let bench = try Bench()
        let pmo = UInt64(bench.call(.pmoCreate, 4))
        let readOnly = UInt64(
            bench.call(.capabilityMint, pmo, UInt64(Rights([.read, .grant]).rawValue), 0))
        #expect(bench.call(.map, 1, 0x1000_0000, 4096, readOnly, 0, 3) == error(.noRights))
        #expect(bench.call(.map, 1, 0x1000_0000, 4096, readOnly, 0, 1) == 0)
        #expect(bench.call(.protect, 1, 0x1000_0000, 4096, 3) == error(.noRights))
        #expect(bench.call(.memoryCopy, readOnly, 0, pmo, 0, 8) == error(.noRights))
        let deeper = UInt64(bench.call(.capabilityMint, readOnly, UInt64(Rights.all.rawValue), 0))
        #expect(bench.call(.memoryCopy, deeper, 0, pmo, 0, 8) == error(.noRights))
        #expect(bench.call(.capabilityRevoke, pmo) == 0)
        #expect(bench.call(.memoryCopy, pmo, 0, deeper, 0, 8) == error(.noCapability))
        #expect(bench.call(.capabilityDelete, pmo) == 0)
        #expect(bench.load(0x1000_0000) == 0, "the mapping keeps the memory")
    }

    @Test func revokeReachesTheMemoryOfAConnection() throws {
        let bench = try Bench()
        let pmo = UInt64(bench.call(.pmoCreate, 4))
        let lent = UInt64(bench.call(.capabilityMint, pmo, UInt64(Rights.all.rawValue), 0))
        let connection = UInt64(bench.call(.connectionCreate, lent))
        let shared = UInt64(bench.call(.connectionMemory, connection))
        bench.tick()
        try bench.powerCut()
        #expect(bench.call(.memoryCopy, shared, 0, pmo, 0, 8) == 8)
        let again = UInt64(bench.call(.connectionMemory, connection))
        #expect(bench.call(.capabilityRevoke, pmo) == 0)
        for gone in [shared, again, lent] {
            #expect(bench.call(.memoryCopy, gone, 0, pmo, 0, 8) == error(.noCapability))
        }
        #expect(bench.call(.connectionMemory, connection) == error(.noCapability))
        let other = UInt64(bench.call(.pmoCreate, 4))
        #expect(other == lent, "the slot is used again")
        #expect(bench.call(.connectionMemory, connection) == error(.noCapability))
    }

    @Test func aThreadThatFindsNoSlotLeavesItsGroupAsItWas() throws {
        let bench = try Bench()
        let group = UInt64(bench.call(.capGroupCreate, Bench.stackTop - 4096, 0, 0))
        let inside = UInt64(bench.call(.capabilityGrant, group, 1, UInt64(Rights.all.rawValue)))
        #expect(inside == 0)
        while bench.callUnchecked(.capabilityMint, [7, 0, 0]) >= 0 {}
        #expect(bench.call(.threadCreate, group, 1, Bench.programAddress, 0, 0) == error(.noMemory))
        #expect(bench.capabilities(ofGroupIn: group) == 1)
    }

    @Test func deviceMemoryIsOnlyWhereDevicesAre() throws {
        let bench = try Bench()
        let slot = UInt64(bench.call(.deviceMemory, 7, 0xC000_0000, 4))
        #expect(bench.call(.deviceMemory, 7, 0x10_0000, 4) == error(.badArgument))
        #expect(bench.call(.deviceMemory, 7, 0xC000_0008, 4) == error(.badArgument))
        #expect(bench.call(.deviceMemory, 7, 0xCFFF_F000, 2) == error(.badArgument))
        #expect(bench.call(.deviceMemory, 7, 0xC000_0000, UInt64.max) == error(.badArgument))
        #expect(bench.call(.deviceMemory, 0, 0xC000_0000, 4) == error(.wrongKind))
        #expect(bench.call(.map, 1, 0x1000_0000, 4 * 4096, slot, 0, 3) == 0)
        #expect(bench.call(.pmoResize, slot, 8) == error(.badArgument))
        #expect(bench.call(.memoryCopy, slot, 0, 3, 0, 8) == error(.badAddress))
        bench.tick()
        try bench.powerCut()
        #expect(bench.call(.objectInfo, slot, Bench.stackTop - 4096) == 0)
        #expect(bench.load(Bench.stackTop - 4096) == UInt64(ObjectKind.pmo.rawValue))
        #expect(bench.call(.unmap, 1, 0x1000_0000, 4 * 4096) == 0)
        #expect(bench.call(.capabilityDelete, slot) == 0)
    }

    @Test func theConsolesLineCannotBeTakenTwice() throws {
        let bench = try Bench()
        #expect(bench.call(.irqCreate, 7, 3) == error(.badArgument))
        #expect(bench.call(.irqCreate, 7, 16) == error(.badArgument), "no such line")
        #expect(bench.call(.irqCreate, 7, 15) >= 0)
        #expect(bench.call(.irqCreate, 7, 5) >= 0)
    }

    @Test func dyingObjectsGiveAllTheirFramesBack() throws {
        let bench = try Bench()
        for _ in 0..<10 { bench.tick() }
        var before: UInt64 = 0
        for round in 0..<50 {
            let slot = UInt64(bench.call(.pmoCreate, 300))
            #expect(bench.call(.map, 1, 0x1000_0000, 300 * 4096, slot, 0, 3) == 0)
            for page in 0..<300 as Range<UInt64> {
                bench.store(page, at: 0x1000_0000 + page * 4096)
            }
            if round % 3 != 0 { bench.tick() }
            if round % 2 == 0 { bench.store(1, at: 0x1000_0000) }
            if round % 5 == 0 { #expect(bench.call(.pmoDecommit, slot, 10, 100) == 100) }
            if round % 7 == 0 { bench.store(1, at: 0x1000_0000 + 20 * 4096) }
            #expect(bench.call(.unmap, 1, 0x1000_0000, 300 * 4096) == 0)
            #expect(bench.call(.capabilityDelete, slot) == 0)
            for _ in 0..<6 { bench.tick() }
            if round == 10 { before = bench.kernel.pointee.store.promised }
        }
        #expect(bench.kernel.pointee.store.promised == before)
    }

    @Test func decommittedPagesReadAsZerosAndComeBackAfterACrash() throws {
        let bench = try Bench()
        let slot = UInt64(bench.call(.pmoCreate, 16))
        #expect(bench.call(.map, 1, 0x1000_0000, 16 * 4096, slot, 0, 3) == 0)
        bench.store(5, at: 0x1000_0000)
        bench.tick()
        #expect(bench.call(.pmoDecommit, slot, 0, 16) == 16)
        #expect(bench.load(0x1000_0000) == 0)
        bench.store(6, at: 0x1000_0000)
        try bench.powerCut()
        #expect(bench.load(0x1000_0000) == 5)
        #expect(bench.call(.pmoDecommit, slot, 0, 16) == 16)
        bench.tick()
        try bench.powerCut()
        #expect(bench.load(0x1000_0000) == 0)
    }

    @Test func aGuestRunsInRestrictedModeAndItsCallsComeBack() throws {
        let bench = try Bench()
        let space = UInt64(bench.call(.vmSpaceCreate))
        let pmo = UInt64(bench.call(.pmoCreate, 1))
        #expect(bench.call(.map, space, 0x40_0000, 4096, pmo, 0, 7) == 0)
        let state = Bench.stackTop - 4096
        bench.store(0x40_0010, at: state + 128)
        bench.store(77, at: state)
        bench.call(.enterRestricted, space, state)
        #expect(bench.registers.rip == 0x40_0010)
        #expect(bench.registers.rax == 77)
        bench.tick()
        try bench.powerCut()
        #expect(bench.registers.rip == 0x40_0010, "the guest goes on where it was")
        bench.registers.rdi = 5
        bench.kernel.pointee.handle(.systemCall, core: 0)
        bench.check()
        #expect(bench.registers.rax == RestrictedExit.systemCall.rawValue)
        #expect(bench.load(state) == 77)
        #expect(bench.load(state + 40) == 5)
        #expect(bench.registers.rip != 0x40_0010)
    }

    @Test func aWaiterWithADeadlineWakesAlsoAfterAPowerCut() throws {
        let bench = try Bench()
        let note = UInt64(bench.call(.notificationCreate))
        #expect(bench.call(.notificationWait, note, 0) == error(.timedOut))
        #expect(bench.call(.notificationSignal, note) == 0)
        #expect(bench.call(.notificationWait, note, 0) == 0)
        let now = UInt64(bench.call(.clockRead, 0))
        bench.call(.notificationWait, note, now + 50_000_000)
        #expect(bench.kernel.pointee.context(core: 0) == nil)
        bench.tick()
        try bench.powerCut()
        #expect(bench.kernel.pointee.context(core: 0) == nil)
        bench.tick(nanoseconds: 100_000_000)
        #expect(Int64(bitPattern: bench.registers.rax) == error(.timedOut))
    }

    @Test func outputIsPublishedOnlyWithItsVersion() throws {
        let bench = try Bench()
        bench.tick()
        let ring = StoreLayout.outputRing.offset
        #expect(bench.call(.map, 1, 0x2000_0000, 65 * 4096, 4, 0, 3) == 0)
        bench.store(100, at: 0x2000_0000 + Ring.localOffset)
        #expect(bench.nvm.load(ring + Ring.publishedOffset) == 0)
        bench.tick()
        #expect(bench.nvm.load(ring + Ring.publishedOffset) == 100)
        bench.store(200, at: 0x2000_0000 + Ring.localOffset)
        try bench.powerCut()
        #expect(bench.nvm.load(ring + Ring.publishedOffset) == 100)
        #expect(bench.nvm.load(ring + Ring.localOffset) == 100)
    }

    @Test func aHundredThousandCheckpointsLeaveTheFramesWhereTheyWere() throws {
        let bench = try Bench()
        let slot = UInt64(bench.call(.pmoCreate, 16))
        #expect(bench.call(.map, 1, 0x1000_0000, 16 * 4096, slot, 0, 3) == 0)
        var used: UInt64 = 0
        for round in 0..<100_000 as Range<UInt64> {
            bench.store(round, at: 0x1000_0000 + round % 16 * 4096)
            bench.machine.state.time += 2_000_000
            bench.kernel.pointee.handle(.timer, core: 0)
            if round == 1000 { used = bench.kernel.pointee.store.promised }
        }
        bench.check()
        #expect(bench.kernel.pointee.store.committed.value > 100_000)
        #expect(bench.kernel.pointee.store.promised == used)
        try bench.powerCut()
        #expect(bench.kernel.pointee.store.promised == used)
    }
}
