import ABI
import CPrimitives

/// Two slots of two copies each, in four frames: how the commit record and the history are kept.
///
/// A write goes to the older slot, first copy then second, each durable before the next step. So a
/// torn write leaves the other slot *and* the slot's second copy good, and one flipped bit leaves
/// the other copy good: whatever single fault happens, the newest value survives or the damage is
/// seen.
///
/// Copy layout: word 0 sequence, words 1…n payload, word n+1 checksum (low 32 bits) and magic
/// (high). A copy that is all zeros in words 0 and n+1 was never written.
public struct MirroredSlots: Sendable {
    public let base: FrameNumber
    public let payloadWords: Int
    public let seed: UInt32
    /// Slot that holds the newest value.
    public private(set) var newest = 0

    static let magic: UInt64 = 0x4556_5452
    /// In place of the checksum while a copy is being written.
    static let unfinished: UInt64 = ~0

    public init(base: FrameNumber, payloadWords: Int, seed: UInt32) {
        self.base = base
        self.payloadWords = payloadWords
        self.seed = seed
    }

    enum CopyState: Equatable {
        case empty
        case good(UInt64)
        case bad
    }

    func copyOffset(slot: Int, copy: Int) -> UInt64 {
        base.offset + UInt64(slot * 2 + copy) * pageSize
    }

    func seal(_ memory: borrowing some PersistentMemory, _ offset: UInt64) -> UInt64 {
        let crc = memory.checksum(offset, words: payloadWords + 1, seed: seed ^ base.value)
        return UInt64(crc) | MirroredSlots.magic << 32
    }

    func state(_ memory: borrowing some PersistentMemory, slot: Int, copy: Int) -> CopyState {
        let offset = copyOffset(slot: slot, copy: copy)
        let sequence = memory.load(offset)
        let check = memory.load(offset + UInt64(payloadWords + 1) * 8)
        if sequence == 0 && check == 0 { return .empty }
        return check == seal(memory, offset) ? .good(sequence) : .bad
    }

    /// What a slot holds: the better of its copies. `damaged` when neither is good though it was
    /// written.
    func value(
        _ memory: borrowing some PersistentMemory, slot: Int
    ) -> (sequence: UInt64?, copy: Int, damaged: Bool, worn: Bool) {
        let first = state(memory, slot: slot, copy: 0)
        let second = state(memory, slot: slot, copy: 1)
        switch (first, second) {
        case (.good(let a), .good(let b)):
            return a >= b ? (a, 0, false, false) : (b, 1, false, true)
        case (.good(let a), _): return (a, 0, false, second == .bad)
        case (_, .good(let b)): return (b, 1, false, true)
        // The very first write of the slot was torn: nothing was lost.
        case (.bad, .empty), (.empty, .empty): return (nil, 0, false, first == .bad)
        case (.empty, .bad), (.bad, .bad): return (nil, 0, true, true)
        }
    }

    /// Finds the newest value. Returns its sequence and the offset of its payload; nil when a slot
    /// is damaged beyond repair or nothing was ever written. `worn` says that some copy was not
    /// good.
    public mutating func open(
        _ memory: borrowing some PersistentMemory
    ) -> (sequence: UInt64, payload: UInt64, worn: Bool)? {
        let zero = value(memory, slot: 0)
        let one = value(memory, slot: 1)
        if zero.damaged || one.damaged { return nil }
        let worn = zero.worn || one.worn
        if let a = zero.sequence, a >= one.sequence ?? 0 {
            newest = 0
            return (a, copyOffset(slot: 0, copy: zero.copy) + 8, worn)
        }
        guard let b = one.sequence else { return nil }
        newest = 1
        return (b, copyOffset(slot: 1, copy: one.copy) + 8, worn)
    }

    /// Makes the two copies of each slot equal again, before anything else is written: a crash, or
    /// damage, may have left only one good, and the next write to the slot must not start with its
    /// only good copy.
    func repair(_ memory: borrowing some PersistentMemory) {
        for slot in 0..<2 {
            let found = value(memory, slot: slot)
            if state(memory, slot: slot, copy: 0) == .bad, found.sequence == nil {
                forget(memory, slot: slot)
            }
            guard let sequence = found.sequence,
                state(memory, slot: slot, copy: 1 - found.copy) != .good(sequence)
            else { continue }
            copy(memory, slot: slot, from: found.copy)
            memory.fence()
        }
    }

    /// The very first write of a slot was torn. Its words must not stay: the next write begins with
    /// some of the same words, and torn in its turn could complete the old value, whose version was
    /// aborted meanwhile.
    private func forget(_ memory: borrowing some PersistentMemory, slot: Int) {
        let check = copyOffset(slot: slot, copy: 0) + UInt64(payloadWords + 1) * 8
        memory.store(MirroredSlots.unfinished, at: check)
        memory.flush(check, length: 8)
        memory.fence()
    }

    private func copy(_ memory: borrowing some PersistentMemory, slot: Int, from source: Int) {
        let from = copyOffset(slot: slot, copy: source)
        let to = copyOffset(slot: slot, copy: 1 - source)
        memory.store(MirroredSlots.unfinished, at: to + UInt64(payloadWords + 1) * 8)
        for word in 0..<UInt64(payloadWords + 2) {
            memory.store(memory.load(from + word * 8), at: to + word * 8)
        }
        memory.flush(to, length: UInt64(payloadWords + 2) * 8)
    }

    /// Begins the next value: offset at which the caller prepares its payload, the first copy of
    /// the older slot. The copy is marked first, so that (where stores keep their order) no
    /// half-written copy looks like one with a flipped bit.
    public func beginPayload(_ memory: borrowing some PersistentMemory) -> UInt64 {
        let first = copyOffset(slot: 1 - newest, copy: 0)
        memory.store(MirroredSlots.unfinished, at: first + UInt64(payloadWords + 1) * 8)
        return first + 8
    }

    /// Seals and publishes what was prepared at `beginPayload`. Everything flushed before is
    /// durable when the first copy is: that is the instant at which the new value holds.
    public mutating func publish(_ memory: borrowing some PersistentMemory, sequence: UInt64) {
        let slot = 1 - newest
        let first = copyOffset(slot: slot, copy: 0)
        let bytes = UInt64(payloadWords + 2) * 8
        if assertionsAreOn {
            let last = value(memory, slot: newest).sequence ?? 0
            assert(sequence > last, "a slot's sequence must grow")
        }
        memory.store(sequence, at: first)
        memory.store(seal(memory, first), at: first + UInt64(payloadWords + 1) * 8)
        memory.flush(first, length: bytes)
        memory.fence()
        if assertionsAreOn {
            let isDurable = memory.isDurable(first, length: bytes)
            assert(isDurable, "the second copy before the first")
        }
        copy(memory, slot: slot, from: 0)
        newest = slot
        if assertionsAreOn {
            for number in 0..<2 {
                let written = state(memory, slot: slot, copy: number)
                assert(written == .good(sequence), "published, and not to be read")
            }
        }
    }
}
