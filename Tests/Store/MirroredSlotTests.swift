import ABI
import MachineSim
import Testing

@testable import Store

/// Two slots of two copies under torn writes, repeated crashes and flipped bits.
@Suite struct MirroredSlotTests {
    private static let words = 5

    private func publish(_ slots: inout MirroredSlots, _ nvm: SimulatedNVM, _ sequence: UInt64) {
        let payload = slots.beginPayload(nvm)
        for word in 0..<UInt64(Self.words) {
            nvm.store(sequence &* 1_000 &+ word, at: payload + word * 8)
        }
        slots.publish(nvm, sequence: sequence)
    }

    private func newest(_ nvm: SimulatedNVM) -> UInt64? {
        var slots = MirroredSlots(base: StoreLayout.commitSlots, payloadWords: Self.words, seed: 9)
        guard let found = slots.open(nvm) else { return slots.isBlank(nvm) ? 0 : nil }
        for word in 0..<UInt64(Self.words)
        where nvm.load(found.payload + word * 8) != found.sequence * 1_000 + word {
            Issue.record("payload of \(found.sequence) is mixed")
        }
        return found.sequence
    }

    private func machine(_ domain: PersistenceDomain) -> SimulatedNVM {
        SimulatedNVM(frameCount: StoreLayout.minimumFrames, domain: domain)
    }

    /// At each step of some writes, crash with many survivals; in each, repair and write on, and
    /// crash again.
    @Test(arguments: [PersistenceDomain.coherentCache, .cacheLineFlush, .hostFlush])
    func anyTwoCrashesLeaveTheNewestValue(domain: PersistenceDomain) {
        let nvm = machine(domain)
        var slots = MirroredSlots(base: StoreLayout.commitSlots, payloadWords: Self.words, seed: 9)
        var done: UInt64 = 0
        var crashes = 0
        var random = RandomSource(seed: 5)
        func probe(_ lower: UInt64, _ depth: Int, _ step: SimulatedNVM.Step) {
            let choices = nvm.crashChoices
            var survivals: [Survival] = [.all, .none]
            for _ in 0..<4 { survivals.append(.random(random.next())) }
            if step == .store { survivals = [.random(random.next())] }
            for survival in survivals {
                crashes += 1
                nvm.withCrash(survival, choices) {
                    guard let found = newest(nvm), found == lower || found == lower + 1 else {
                        Issue.record(
                            "found \(String(describing: newest(nvm))), committed was \(lower)")
                        return
                    }
                    if depth == 2 { return }
                    var again = MirroredSlots(
                        base: StoreLayout.commitSlots, payloadWords: Self.words, seed: 9)
                    _ = again.open(nvm)
                    nvm.nextStop = 0
                    nvm.onStep = { probe(found, depth + 1, $0) }
                    again.repair(nvm)
                    publish(&again, nvm, found + 1)
                    nvm.onStep = nil
                    nvm.fence()
                    #expect(newest(nvm) == found + 1)
                }
            }
        }
        nvm.nextStop = 0
        nvm.onStep = { probe(done, 1, $0) }
        for sequence: UInt64 in 1...4 {
            publish(&slots, nvm, sequence)
            done = sequence
        }
        #expect(crashes > 1_000)
    }

    /// The first write of a slot is torn, its version is aborted, and the next write, torn too,
    /// stores just the word that was missing: the old value must not come to life.
    @Test func aTornFirstWriteIsNeverCompleted() {
        let nvm = machine(.cacheLineFlush)
        var slots = MirroredSlots(base: StoreLayout.commitSlots, payloadWords: Self.words, seed: 9)
        publish(&slots, nvm, 1)
        nvm.settle()
        let first = slots.copyOffset(slot: slots.newest, copy: 0)
        let missing = first + 24
        let word = nvm.load(missing)
        nvm.store(0, at: missing)
        let second = slots.copyOffset(slot: slots.newest, copy: 1)
        for word in 0..<UInt64(Self.words + 2) { nvm.store(0, at: second + word * 8) }
        nvm.settle()
        #expect(newest(nvm) == 0)
        slots = MirroredSlots(base: StoreLayout.commitSlots, payloadWords: Self.words, seed: 9)
        #expect(slots.open(nvm) == nil)
        slots.repair(nvm)
        nvm.crash(.none)
        nvm.store(word, at: missing)
        #expect(newest(nvm) == 0)
    }

    @Test func everyFlippedBitLeavesTheNewestValueOrIsNamed() {
        let nvm = machine(.coherentCache)
        var slots = MirroredSlots(base: StoreLayout.commitSlots, payloadWords: Self.words, seed: 9)
        for sequence: UInt64 in 1...3 {
            publish(&slots, nvm, sequence)
            for slot in 0..<2 {
                for copy in 0..<2 {
                    for word in 0..<(Self.words + 2) {
                        let index = Int(slots.copyOffset(slot: slot, copy: copy) / 8) + word
                        let before = nvm.load(UInt64(index) * 8)
                        for bit: UInt64 in 0..<64 {
                            nvm.damage(word: index, to: before ^ 1 << bit)
                            let found = newest(nvm)
                            #expect(found == sequence || found == nil)
                        }
                        nvm.damage(word: index, to: before)
                    }
                }
            }
        }
    }
}
