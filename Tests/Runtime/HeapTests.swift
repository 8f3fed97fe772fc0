import Testing

@testable import Runtime

/// Blocks handed out by a heap never overlap, are aligned, keep their contents and come back whole.
@Suite struct HeapTests {
    struct Block {
        var address: UnsafeMutableRawPointer
        var size: Int
        var pattern: UInt8
    }

    /// A heap in a buffer, freed with it.
    final class Arena {
        let buffer: UnsafeMutableRawBufferPointer
        let heap: UnsafeMutablePointer<Heap>
        init(byteCount: Int) throws {
            buffer = .allocate(byteCount: byteCount, alignment: 4096)
            buffer.initializeMemory(as: UInt8.self, repeating: 0)
            heap = try #require(
                Heap.create(at: UInt(bitPattern: buffer.baseAddress), byteCount: UInt(byteCount)))
        }
        deinit { buffer.deallocate() }
        func allocate(size: UInt, alignment: UInt) -> UnsafeMutableRawPointer? {
            heap.pointee.allocate(size: size, alignment: alignment)
        }
        func free(_ block: UnsafeMutableRawPointer) -> Bool { heap.pointee.free(block) }
    }

    static let sizes: [UInt] = [
        0, 1, 8, 16, 17, 100, 128, 300, 513, 672, 1000, 1361, 2048, 2049, 4096, 5000, 20000, 70000,
    ]
    static let alignments: [UInt] = [1, 8, 16, 32, 64, 256, 2048, 4096, 16384]

    @Test func everySizeAndAlignment() throws {
        let arena = try Arena(byteCount: 8 << 20)
        for size in Self.sizes {
            for alignment in Self.alignments {
                let block = try #require(arena.allocate(size: size, alignment: alignment))
                #expect(UInt(bitPattern: block) % alignment == 0)
                #expect(arena.free(block))
            }
        }
        #expect(arena.heap.pointee.usedBytes == 0)
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func randomLifeKeepsContents(seed: UInt64) throws {
        let arena = try Arena(byteCount: 4 << 20)
        var random = SplitMix(state: seed)
        var live: [Block] = []
        for step in 0..<20000 {
            if live.count > 0, random.next() % 5 < 2 || live.count > 300 {
                let block = live.remove(at: Int(random.next() % UInt64(live.count)))
                try check(block, seed: seed, step: step)
                #expect(arena.free(block.address))
            } else {
                let size = Self.sizes[Int(random.next() % UInt64(Self.sizes.count - 2))]
                let alignment = Self.alignments[Int(random.next() % UInt64(Self.alignments.count))]
                guard let address = arena.allocate(size: size, alignment: alignment) else {
                    continue
                }
                let block = Block(
                    address: address, size: Int(size),
                    pattern: UInt8(truncatingIfNeeded: random.next()))
                UnsafeMutableRawBufferPointer(start: address, count: block.size)
                    .initializeMemory(as: UInt8.self, repeating: block.pattern)
                live.append(block)
            }
        }
        for block in live {
            try check(block, seed: seed, step: -1)
            #expect(arena.free(block.address))
        }
        #expect(arena.heap.pointee.usedBytes == 0)
        #expect(Self.freePages(arena) >= Int(arena.heap.pointee.pageCount) - SizeClasses.count)
    }

    @Test func exhaustionIsNilAndHeals() throws {
        let arena = try Arena(byteCount: 256 << 10)
        var blocks: [UnsafeMutableRawPointer] = []
        while let block = arena.allocate(size: 4096, alignment: 16) { blocks.append(block) }
        #expect(blocks.count > 50)
        #expect(arena.allocate(size: UInt.max, alignment: 16) == nil)
        #expect(arena.allocate(size: 16, alignment: 1 << 63) == nil)
        for block in blocks { #expect(arena.free(block)) }
        #expect(arena.heap.pointee.frontier == 0)
    }

    @Test func wrongFreesAreRefused() throws {
        let arena = try Arena(byteCount: 256 << 10)
        let small = try #require(arena.allocate(size: 64, alignment: 16))
        let large = try #require(arena.allocate(size: 9000, alignment: 16))
        #expect(!arena.free(small + 8))
        #expect(!arena.free(large + 4096))
        #expect(!arena.free(UnsafeMutableRawPointer(arena.heap)))
        #expect(arena.free(large))
        #expect(!arena.free(large))
    }

    /// Pages that a large allocation may still take: all but the slabs, one of which each class may
    /// keep.
    static func freePages(_ arena: Arena) -> Int {
        var free = 0
        while arena.allocate(size: 4096, alignment: 4096) != nil { free += 1 }
        return free
    }

    private func check(_ block: Block, seed: UInt64, step: Int) throws {
        let bytes = UnsafeRawBufferPointer(start: block.address, count: block.size)
        #expect(bytes.allSatisfy { $0 == block.pattern }, "seed \(seed), step \(step)")
    }
}

/// A small generator with a seed (Steele, Lea, Flood 2014).
struct SplitMix: RandomNumberGenerator {
    var state: UInt64
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }
}
