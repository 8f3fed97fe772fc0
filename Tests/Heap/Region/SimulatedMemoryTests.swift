import PersistentMemory
import Testing

@Suite struct SimulatedMemoryTests {
    @Test func whatWasFencedIsAlwaysThere() {
        let memory = SimulatedMemory(bytes: 4096)
        let region = memory.region()
        region.storeDurably(7, at: 128)
        region.store(8, at: 256)
        var random = SplitMix64(seed: 1)
        var lost = 0
        var image = [UInt64](repeating: 0, count: 512)
        for _ in 0..<100 {
            memory.crashImage(into: &image, random: &random)
            #expect(image[16] == 7)
            lost += image[32] == 0 ? 1 : 0
        }
        #expect(lost > 0 && lost < 100, "an unflushed word may be lost, and may not")
    }

    @Test func aLongStoreTearsBetweenWords() {
        let memory = SimulatedMemory(bytes: 4096)
        let region = memory.region()
        for word in 0..<8 as Range<UInt64> { region.store(1, at: word * 8) }
        region.flush(0, 64)
        var random = SplitMix64(seed: 2)
        var image = [UInt64](repeating: 0, count: 512)
        var sawTorn = false
        for _ in 0..<100 {
            memory.crashImage(into: &image, random: &random)
            let sum = image[0..<8].reduce(0, +)
            sawTorn = sawTorn || (sum > 0 && sum < 8)
        }
        #expect(sawTorn)
    }
}
