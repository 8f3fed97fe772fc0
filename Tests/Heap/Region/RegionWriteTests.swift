import Glibc
import PersistentMemory
import Testing

@Suite struct RegionWriteTests {
    /// Past the caches, through them, and on memory that forgets: after the fence it is there.
    @Test(arguments: [PersistenceDomain.cacheLineFlush, .processCrash, .simulated])
    func aPageBecomesItsImage(_ domain: PersistenceDomain) throws {
        let path = "/tmp/evertree-write-\(getpid())-\(domain.rawValue)"
        defer { unlink(path) }
        let memory = SimulatedMemory(bytes: 3 * 4096)
        let region =
            domain == .simulated
            ? memory.region()
            : try PersistentRegion.file(
                path: path, domain: domain, reservedBytes: 1 << 20, address: nil, create: true)
        try region.grow(to: 3 * 4096)
        var random = SplitMix64(seed: 3)
        var words = (0..<512).map { _ in random.next() }
        for changes in [512, 1, 7, 0] {
            for _ in 0..<changes { words[Int(random.next() % 512)] = random.next() }
            write(words, to: region, at: 4096)
            region.fence()
            let found = (0..<512).map { region.load(4096 + UInt64($0) * 8) }
            #expect(found == words)
            #expect(region.load(4088) == 0 && region.load(8192) == 0, "a neighbour was written")
            guard domain == .simulated else { continue }
            var image = [UInt64](repeating: 0, count: 3 * 512)
            memory.crashImage(into: &image, random: &random)
            #expect(Array(image[512..<1024]) == words, "not durable")
        }
        region.close()
    }

    private func write(_ words: [UInt64], to region: PersistentRegion, at offset: UInt64) {
        let image = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 64)
        defer { image.deallocate() }
        words.withUnsafeBytes { image.copyMemory(from: $0) }
        region.write(UnsafeRawBufferPointer(image), at: offset)
    }
}
