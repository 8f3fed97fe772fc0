import ABI
import Store

/// What is outside of the machine and does not crash with it: reads the output ring, feeds the
/// input ring.
///
/// The first program writes the numbers 1, 2, 3, … into the output ring, and expects them in the
/// input ring. So a lost, repeated or invented word shows at once, on either side.
struct OutsideWorld {
    /// Bytes of output taken, and the number expected next.
    private(set) var taken: UInt64 = 0
    private(set) var expected: UInt64 = 1
    /// Bytes of input given.
    private(set) var given: UInt64 = 0

    static let output = StoreLayout.outputRing.offset
    static let input = StoreLayout.inputRing.offset
    static let outputCapacity = UInt64(StoreLayout.outputRingFrames - 1) * pageSize
    static let inputCapacity = UInt64(StoreLayout.inputRingFrames - 1) * pageSize

    /// Takes what is published. Returns what is wrong with it, if anything.
    mutating func take(_ nvm: SimulatedNVM) -> String? {
        let published = nvm.load(Self.output + Ring.publishedOffset)
        if published < taken { return "output went back from \(taken) to \(published)" }
        while taken < published {
            let value = nvm.load(Self.output + Ring.dataOffset + taken % Self.outputCapacity)
            if value != expected { return "output word \(value) came instead of \(expected)" }
            expected += 1
            taken += 8
        }
        store(taken, at: Self.output + Ring.remoteOffset, nvm)
        return nil
    }

    /// Puts some words into the input ring.
    mutating func give(_ words: Int, _ nvm: SimulatedNVM) {
        let published = nvm.load(Self.input + Ring.publishedOffset)
        for _ in 0..<words where given + 8 - published <= Self.inputCapacity {
            store(given / 8 + 1, at: Self.input + Ring.dataOffset + given % Self.inputCapacity, nvm)
            given += 8
            store(given, at: Self.input + Ring.remoteOffset, nvm)
        }
    }

    /// How far somebody who looks right now can read.
    static func visible(_ nvm: SimulatedNVM) -> UInt64 { nvm.load(output + Ring.publishedOffset) }

    /// After a restore: everything that could be seen at the crash must be in the restored
    /// version's past.
    func check(_ nvm: SimulatedNVM, seen: UInt64) -> String? {
        let published = Self.visible(nvm)
        if published < max(seen, taken) {
            return "output was seen up to \(seen), but the restored version wrote \(published)"
        }
        let read = nvm.load(Self.input + Ring.localOffset)
        if read > given { return "input was read up to \(read), but only \(given) was given" }
        return nil
    }

    /// The host's memory is not the guest's cache: its stores are durable.
    private func store(_ value: UInt64, at offset: UInt64, _ nvm: SimulatedNVM) {
        nvm.damage(word: Int(offset / 8), to: value)
    }
}
