import ABI
import MachineSim
import Store
import Testing

@testable import Kernel

/// PMOs that show the store's image: shared until written, and right after every crash.
@Suite struct ImageTests {
    private static let image = UInt64(RootSlot.image.value)
    private static let space = UInt64(RootSlot.vmSpace.value)
    private static let address: UInt64 = 0x50_0000
    private static let readWrite: UInt64 = 3

    /// Word 0 of page `page` of the image.
    private func word(_ page: UInt64) -> UInt64 { 0x1111_0000 + page }

    private func bench() throws -> Bench { try Bench(imageFrames: 24) }

    /// A PMO that shows pages of the image, mapped at `address`.
    private func mapped(_ bench: Bench, first: UInt64, pages: UInt64, at place: UInt64 = address)
        -> UInt64
    {
        let pmo = bench.call(.pmoOfImage, Self.image, first, pages)
        #expect(pmo >= Int64(RootSlot.firstFree))
        let slot = UInt64(bitPattern: pmo)
        #expect(bench.call(.map, Self.space, place, pages * pageSize, slot, 0, Self.readWrite) == 0)
        return slot
    }

    @Test func pagesAreSharedUntilWritten() throws {
        let bench = try bench()
        let one = mapped(bench, first: 4, pages: 8)
        _ = mapped(bench, first: 4, pages: 8, at: Self.address + 0x10_0000)
        let before = bench.kernel.pointee.store.framesAvailable
        for page in 0..<8 as Range<UInt64> {
            #expect(bench.load(Self.address + page * pageSize) == word(4 + page))
        }
        #expect(bench.kernel.pointee.store.framesAvailable == before)
        bench.store(77, at: Self.address + 2 * pageSize)
        #expect(bench.load(Self.address + 2 * pageSize) == 77)
        #expect(bench.load(Self.address + 2 * pageSize + 8) == word(6) + 1)
        #expect(bench.load(Self.address + 0x10_0000 + 2 * pageSize) == word(6))
        bench.check()
        // A second mapping of the same PMO that had read the image sees the write.
        let again = Self.address + 0x20_0000
        #expect(bench.call(.map, Self.space, again, 8 * pageSize, one, 0, Self.readWrite) == 0)
        #expect(bench.load(again + 3 * pageSize) == word(7))
        bench.store(78, at: Self.address + 3 * pageSize)
        #expect(bench.load(again + 3 * pageSize) == 78)
        bench.check()
    }

    @Test func writesComeBackAsCommitted() throws {
        let bench = try bench()
        _ = mapped(bench, first: 0, pages: 8)
        bench.store(5, at: Self.address)
        bench.call(.checkpoint, UInt64(RootSlot.system.value))
        bench.store(6, at: Self.address)
        bench.store(6, at: Self.address + pageSize)
        try bench.powerCut()
        #expect(bench.load(Self.address) == 5)
        #expect(bench.load(Self.address + pageSize) == word(1))
        #expect(bench.load(Self.address + 7 * pageSize) == word(7))
    }

    @Test func aHoleHidesTheImage() throws {
        let bench = try bench()
        let pmo = mapped(bench, first: 0, pages: 8)
        bench.call(.checkpoint, UInt64(RootSlot.system.value))
        #expect(bench.load(Self.address + pageSize) == word(1))
        #expect(bench.call(.pmoDecommit, pmo, 1, 2) == 2)
        #expect(bench.load(Self.address + pageSize) == 0)
        #expect(bench.load(Self.address) == word(0))
        // Not committed: the image is back.
        try bench.powerCut()
        #expect(bench.load(Self.address + pageSize) == word(1))
        #expect(bench.call(.pmoDecommit, pmo, 1, 2) == 2)
        bench.call(.checkpoint, UInt64(RootSlot.system.value))
        try bench.powerCut()
        #expect(bench.load(Self.address + pageSize) == 0)
        bench.store(9, at: Self.address + 2 * pageSize)
        #expect(bench.load(Self.address + 2 * pageSize) == 9)
        #expect(bench.load(Self.address + 2 * pageSize + 8) == 0)
        #expect(StoreChecker.check(bench.nvm).isGood)
    }

    @Test func whatWasCutOffStaysZero() throws {
        let bench = try bench()
        let pmo = mapped(bench, first: 0, pages: 8)
        #expect(bench.load(Self.address + 5 * pageSize) == word(5))
        #expect(bench.call(.pmoResize, pmo, 4) == 0)
        #expect(bench.call(.pmoResize, pmo, 8) == 0)
        #expect(bench.load(Self.address + 5 * pageSize) == 0)
        #expect(bench.load(Self.address + 3 * pageSize) == word(3))
        bench.call(.checkpoint, UInt64(RootSlot.system.value))
        try bench.powerCut()
        #expect(bench.load(Self.address + 5 * pageSize) == 0)
        #expect(bench.load(Self.address + 3 * pageSize) == word(3))
        #expect(StoreChecker.check(bench.nvm).isGood)
    }

    @Test func theImageIsNeverWritten() throws {
        let bench = try bench()
        let system = UInt64(RootSlot.system.value)
        #expect(
            bench.call(.map, Self.space, Self.address, pageSize, Self.image, 0, Self.readWrite)
                == -NativeError.noRights.rawValue)
        #expect(
            bench.call(.memoryCopy, Self.image, 0, Self.space, Bench.programAddress, 8)
                == -NativeError.noRights.rawValue)
        let pmo = mapped(bench, first: 0, pages: 24)
        #expect(
            bench.call(.memoryCopy, pmo, 23 * pageSize, Self.space, Bench.programAddress, 8) == 8)
        #expect(bench.call(.pmoDecommit, pmo, 0, 10) == 10)
        bench.call(.checkpoint, system)
        #expect(bench.call(.capabilityDelete, pmo) == 0)
        #expect(bench.call(.unmap, Self.space, Self.address, 24 * pageSize) == 0)
        for _ in 0..<20 { bench.tick() }
        for page in 0..<24 as Range<UInt64> {
            let frame = FrameNumber(
                bench.kernel.pointee.store.layout.image.lowerBound + UInt32(page))
            #expect(bench.nvm.load(frame.offset) == word(page))
        }
        #expect(StoreChecker.check(bench.nvm).isGood)
    }

    @Test func hostileRanges() throws {
        let bench = try bench()
        let bad = -NativeError.badArgument.rawValue
        for (first, count) in [
            (0, 0), (0, 25), (24, 1), (23, 2), (UInt64.max, 1), (1, UInt64.max), (1 << 52, 1 << 52),
        ] as [(UInt64, UInt64)] {
            #expect(bench.call(.pmoOfImage, Self.image, first, count) == bad)
        }
        for slot in [RootSlot.outputRing, RootSlot.bundle] {
            #expect(bench.call(.pmoOfImage, UInt64(slot.value), 0, 1) == bad)
        }
        #expect(bench.call(.pmoOfImage, 60, 0, 1) == -NativeError.noCapability.rawValue)
        let without = try Bench()
        #expect(
            without.call(.pmoOfImage, Self.image, 0, 1) == -NativeError.noCapability.rawValue)
    }

    @Test func aFullStoreRefusesACopyAndKeepsTheImage() throws {
        let bench = try Bench(frames: 1024, imageFrames: 200)
        let pmo = mapped(bench, first: 0, pages: 200)
        var written: UInt64 = 0
        while written < 200,
            bench.call(
                .memoryCopy, pmo, written * pageSize, Self.space, Bench.programAddress, 8) == 8
        { written += 1 }
        let filler = UInt64(bitPattern: bench.call(.pmoCreate, 1000))
        var page: UInt64 = 0
        while bench.callUnchecked(
            .memoryCopy, [filler, page * pageSize, Self.space, Bench.programAddress, 8]) == 8
        { page += 1 }
        #expect(page < 1000)
        let rest = mapped(bench, first: 0, pages: 200, at: Self.address + 0x40_0000)
        #expect(
            bench.call(.memoryCopy, rest, 0, Self.space, Bench.programAddress, 8)
                == -NativeError.noMemory.rawValue)
        #expect(bench.load(Self.address + 0x40_0000) == word(0))
    }
}
