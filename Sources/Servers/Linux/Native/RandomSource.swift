import CLinuxServer

/// The guest's random numbers: ChaCha20 (RFC 8439, 2.3) keyed from what differs between boots and
/// between restores.
///
/// The key comes from the runtime's `arc4random_buf` (RDRAND where the processor has it), the
/// clocks, and what the boot specification brings (`entropy=`). After a restore it is mixed again,
/// so that two restores of one version do not go on with the same numbers.
final class RandomSource {
    private var key = [UInt32](repeating: 0, count: 8)
    private var counter: UInt64 = 0
    private var restores = Native.restoreCount()
    private var rest: Bytes = []

    init() {
        mix(Native.wallClock(), Native.monotonic())
        mixHardware()
    }

    private func mixHardware() {
        var seed: (UInt64, UInt64, UInt64, UInt64) = (0, 0, 0, 0)
        withUnsafeMutableBytes(of: &seed) { buffer in
            if let base = buffer.baseAddress { arc4random_buf(base, buffer.count) }
        }
        mix(seed.0, seed.1)
        mix(seed.2, seed.3)
    }

    func mix(_ a: UInt64, _ b: UInt64) {
        key[0] ^= UInt32(truncatingIfNeeded: a)
        key[1] ^= UInt32(truncatingIfNeeded: a >> 32)
        key[2] ^= UInt32(truncatingIfNeeded: b)
        key[3] ^= UInt32(truncatingIfNeeded: b >> 32)
        stir()
    }

    /// Entropy from outside, such as the boot specification's.
    func mix(_ bytes: Bytes) {
        for (index, byte) in bytes.enumerated() {
            key[index / 4 % 8] ^= UInt32(byte) << UInt32(index % 4 * 8)
        }
        stir()
    }

    /// The next key is output of the current one, which is forgotten.
    private func stir() {
        let next = block()
        for index in 0..<8 { key[index] = next[index] }
        rest = []
    }

    func bytes(_ count: Int) -> Bytes {
        let now = Native.restoreCount()
        if now != restores {
            restores = now
            mix(Native.wallClock(), now)
            mixHardware()
        }
        while rest.count < count {
            for word in block() {
                for shift in 0..<4 {
                    rest.append(UInt8(truncatingIfNeeded: word >> UInt32(shift * 8)))
                }
            }
        }
        let result = Bytes(rest.prefix(count))
        rest.removeFirst(count)
        return result
    }

    private func block() -> [UInt32] {
        var input: [UInt32] = [0x6170_7865, 0x3320_646E, 0x7962_2D32, 0x6B20_6574]
        input.append(contentsOf: key)
        input.append(UInt32(truncatingIfNeeded: counter))
        input.append(UInt32(truncatingIfNeeded: counter >> 32))
        input.append(contentsOf: [0, 0])
        counter = counter &+ 1
        var x = input
        for _ in 0..<10 {
            for i in 0..<4 { RandomSource.quarter(&x, i, 4 + i, 8 + i, 12 + i) }
            for i in 0..<4 {
                RandomSource.quarter(&x, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
            }
        }
        for index in 0..<16 { x[index] = x[index] &+ input[index] }
        return x
    }

    private static func quarter(_ x: inout [UInt32], _ a: Int, _ b: Int, _ c: Int, _ d: Int) {
        func rotate(_ value: UInt32, _ by: UInt32) -> UInt32 { value << by | value >> (32 - by) }
        x[a] = x[a] &+ x[b]
        x[d] = rotate(x[d] ^ x[a], 16)
        x[c] = x[c] &+ x[d]
        x[b] = rotate(x[b] ^ x[c], 12)
        x[a] = x[a] &+ x[b]
        x[d] = rotate(x[d] ^ x[a], 8)
        x[c] = x[c] &+ x[d]
        x[b] = rotate(x[b] ^ x[c], 7)
    }
}
