import ABI
import HostedNative
import Testing

@testable import LinuxServer

/// Address spaces on the hosted machine, against a model: an array of pages.
@Suite(.serialized) struct AddressSpaceTests {
    /// One machine for all tests: the seam's C functions know only one.
    static let machine = HostedMachine(bundle: [0])
    static let base: UInt64 = 0x1_0000_0000
    static let pages = 32

    struct Page: Equatable {
        var protection: Protection
        var byte: UInt8
    }

    private func area(_ first: Int, _ count: Int, _ protection: Protection) throws(Errno)
        -> MemoryArea
    {
        let start = Self.base + UInt64(first) * pageSize
        var area = MemoryArea(
            start: start, end: start + UInt64(count) * pageSize, protection: protection)
        area.memory = try MemoryObject(pageCount: UInt64(count))
        return area
    }

    private func compare(_ space: AddressSpace, _ model: [Page?], _ note: String) {
        for (index, page) in model.enumerated() {
            let address = Self.base + UInt64(index) * pageSize + 5
            let found = space.area(at: address)
            #expect(found?.protection == page?.protection, "page \(index), \(note)")
            let byte = space.memory.readSome(address, count: 1).first
            let isReadable = page?.protection.contains(.read) ?? false
            #expect(byte == (isReadable ? page?.byte : nil), "page \(index), \(note)")
        }
        for index in 1..<max(1, space.areas.count) {
            #expect(space.areas[index - 1].end <= space.areas[index].start, "order, \(note)")
        }
    }

    @Test func mappingsFollowTheModel() throws {
        try #require(Self.machine != nil)
        for seed in UInt64(1)...20 {
            var random = SeededGenerator(seed: seed)
            var space = try AddressSpace()
            var model = [Page?](repeating: nil, count: Self.pages)
            for step in 0..<60 {
                let first = Int(random.next() % UInt64(Self.pages))
                let count = 1 + Int(random.next() % UInt64(Self.pages - first))
                let start = Self.base + UInt64(first) * pageSize
                let end = start + UInt64(count) * pageSize
                let protection: Protection = [[.read, .write], [.read], []][Int(random.next() % 3)]
                switch random.next() % 5 {
                case 0:
                    try space.insert(try area(first, count, protection))
                    for page in first..<first + count {
                        model[page] = Page(protection: protection, byte: 0)
                    }
                case 1:
                    try space.remove(start, end)
                    for page in first..<first + count { model[page] = nil }
                case 2:
                    let isWhole = !model[first..<first + count].contains(nil)
                    let result = Result { try space.protect(start, end, protection) }
                    #expect(((try? result.get()) != nil) == isWhole)
                    if isWhole {
                        for page in first..<first + count { model[page]?.protection = protection }
                    }
                case 3:
                    let byte = UInt8(truncatingIfNeeded: random.next())
                    let isWritten = space.memory.writeSome([byte], to: start + 5) == 1
                    #expect(isWritten == (model[first]?.protection.contains(.write) ?? false))
                    if isWritten { model[first]?.byte = byte }
                default: space = try space.fork(stackPointer: 0)
                }
                compare(space, model, "seed \(seed) step \(step)")
            }
        }
    }

    @Test func forkSharesNothingPrivateAndAllShared() throws {
        try #require(Self.machine != nil)
        let parent = try AddressSpace()
        try parent.insert(try area(0, 2, [.read, .write]))
        var shared = try area(4, 2, [.read, .write])
        shared.isShared = true
        try parent.insert(shared)
        #expect(parent.memory.writeSome([1], to: Self.base) == 1)
        let child = try parent.fork(stackPointer: 0)
        #expect(child.memory.writeSome([2], to: Self.base) == 1)
        #expect(child.memory.writeSome([3], to: Self.base + 4 * pageSize) == 1)
        #expect(parent.memory.readSome(Self.base, count: 1) == [1])
        #expect(parent.memory.readSome(Self.base + 4 * pageSize, count: 1) == [3])
    }

    @Test func theHeapGrowsShrinksAndIsCleared() throws {
        try #require(Self.machine != nil)
        let space = try AddressSpace()
        space.breakStart = Self.base
        space.breakEnd = Self.base
        #expect(space.setBreak(Self.base + 10_000) == Self.base + 10_000)
        #expect(space.memory.writeSome([7], to: Self.base + 9000) == 1)
        #expect(space.setBreak(Self.base + 100) == Self.base + 100)
        #expect(space.memory.readSome(Self.base + 9000, count: 1).isEmpty)
        #expect(space.setBreak(Self.base + 20_000) == Self.base + 20_000)
        #expect(space.memory.readSome(Self.base + 9000, count: 1) == [0])
        #expect(space.areas.count == 1)
        #expect(space.setBreak(0) == Self.base + 20_000)
        #expect(space.setBreak(UInt64.max) == Self.base + 20_000)
    }

    @Test func roomIsFoundBelowAndHintsAreKept() throws {
        try #require(Self.machine != nil)
        let space = try AddressSpace()
        let first = try space.findRoom(8192, hint: 0)
        #expect(first == AddressSpace.mapTop - 8192)
        var taken = MemoryArea(start: first, end: first + 8192, protection: [.read])
        taken.memory = try MemoryObject(pageCount: 2)
        try space.insert(taken)
        #expect(try space.findRoom(4096, hint: 0) == first - 4096)
        #expect(try space.findRoom(4096, hint: Self.base) == Self.base)
        #expect(try space.findRoom(4096, hint: first) == first - 4096)
        #expect(throws: Errno.ENOMEM) { try space.findRoom(UserAddress.limit.value, hint: 0) }
    }

    /// fork(2) goes through all private memory, so there is an end to it, in one piece and in many.
    @Test func privateMemoryHasAnEnd() throws {
        let space = try AddressSpace()
        let memory = try MemoryObject(pageCount: 1)
        func insert(_ start: UInt64, _ length: UInt64) throws(Errno) {
            var area = MemoryArea(start: start, end: start + length, protection: [.read])
            area.memory = memory
            try space.insert(area)
        }
        let half = AddressSpace.maximumPrivateBytes / 2
        #expect(throws: Errno.ENOMEM) { try insert(Self.base, 2 * half + pageSize) }
        try insert(Self.base, half)
        try insert(Self.base + half, half)
        #expect(throws: Errno.ENOMEM) {
            try insert(Self.base + 2 * half, AddressSpace.largeBytes)
        }
        try insert(Self.base + 2 * half, pageSize)
    }
}
