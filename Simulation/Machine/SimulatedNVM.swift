import ABI
import Store

/// An NVM region in ordinary memory that knows what a power cut would leave of it.
///
/// The model, per 8-byte word:
/// - `coherentCache`: a store is durable when it is made; a crash keeps a prefix of the program's
///   stores.
/// - `cacheLineFlush`: a store is *pending* until its line was flushed after it and a fence
///   followed. A crash leaves each pending word at any of the values it had since it was last
///   certain, whatever other words do: lines are evicted in any order, and a line may tear at 8
///   bytes.
/// - `hostFlush`: the same, but a fence makes everything durable that was stored before it.
///
/// Every changed word and every fence is a *step*, at which `onStep` may look at the machine, crash
/// it (`withCrash`) and let the code that is under way go on afterwards as if nothing had happened.
public final class SimulatedNVM: PersistentMemory {
    public let frameCount: UInt32
    public let domain: PersistenceDomain
    /// Steps so far. A fence counts before it takes effect, a store after.
    public internal(set) var steps: UInt64 = 0
    /// `onStep` is called at the first step that is not below this.
    public var nextStop: UInt64 = .max
    public var onStep: ((Step) -> Void)?

    public enum Step: Sendable { case store, fence, external }

    let words: UnsafeMutablePointer<UInt64>
    var pending: PendingStores
    var journal = Journal()

    public init(frameCount: UInt32, domain: PersistenceDomain) {
        self.frameCount = frameCount
        self.domain = domain
        words = .allocate(capacity: Int(frameCount) * 512)
        words.initialize(repeating: 0, count: Int(frameCount) * 512)
        pending = PendingStores(lineCount: Int(frameCount) * 64)
    }

    deinit {
        words.deallocate()
        pending.deallocate()
    }

    @inline(__always) private func index(_ offset: UInt64) -> Int {
        precondition(
            offset & 7 == 0 && offset < UInt64(frameCount) * pageSize, "offset outside the region")
        return Int(truncatingIfNeeded: offset >> 3)
    }

    // MARK: PersistentMemory

    public func load(_ offset: UInt64) -> UInt64 { words[index(offset)] }

    public func store(_ value: UInt64, at offset: UInt64) { set(index(offset), to: value) }

    public func read(_ offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) {
        precondition(
            offset + UInt64(buffer.count) <= UInt64(frameCount) * pageSize,
            "read outside the region")
        guard let base = buffer.baseAddress, buffer.count > 0 else { return }
        base.copyMemory(from: UnsafeRawPointer(words) + Int(offset), byteCount: buffer.count)
    }

    /// Stores whole words, the bytes around the range in the first and last word unchanged.
    public func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
        precondition(
            offset + UInt64(bytes.count) <= UInt64(frameCount) * pageSize,
            "write outside the region")
        var done = 0
        while done < bytes.count {
            let at = Int(offset) + done
            let inWord = at & 7
            let count = min(8 - inWord, bytes.count - done)
            var value = words[at >> 3]
            withUnsafeMutableBytes(of: &value) { word in
                for byte in 0..<count { word[inWord + byte] = bytes[done + byte] }
            }
            set(at >> 3, to: value)
            done += count
        }
    }

    public func copyFrame(from source: FrameNumber, to destination: FrameNumber) {
        let from = index(source.offset)
        let to = index(destination.offset)
        for word in 0..<512 where words[to + word] != words[from + word] {
            set(to + word, to: words[from + word])
        }
    }

    public func zeroFrame(_ frame: FrameNumber) { fillFrame(frame) { _ in 0 } }

    /// One step in all: nothing refers to the frame yet.
    public func fillFrame(_ frame: FrameNumber, with word: (UInt64) -> UInt64) {
        let first = index(frame.offset)
        for place in first..<first + 512 {
            let value = word(UInt64(place) * 8)
            if words[place] != value { change(place, to: value) }
        }
        step(.store)
    }

    public func flush(_ offset: UInt64, length: UInt64) {
        if domain != .cacheLineFlush || length == 0 { return }
        pending.flush(lines: Int(offset / 64)...Int((offset + length - 1) / 64))
    }

    public func fence() {
        step(.fence)
        switch domain {
        case .coherentCache: break
        case .cacheLineFlush: pending.fence()
        case .hostFlush: pending.forget()
        }
    }

    public func isDurable(_ offset: UInt64, length: UInt64) -> Bool {
        if domain == .coherentCache || length == 0 { return true }
        return pending.isDurable(lines: Int(offset / 64)...Int((offset + length - 1) / 64))
    }

    /// Something left the machine: what was durable before it must explain it.
    public func externalEvent() { step(.external) }

    // MARK: Steps

    /// Stores one word. A store of the value that is there changes nothing that a crash could show.
    @inline(__always) func set(_ word: Int, to value: UInt64) {
        if words[word] == value { return }
        change(word, to: value)
        step(.store)
    }

    @inline(__always) private func change(_ word: Int, to value: UInt64) {
        let before = words[word]
        if domain != .coherentCache { pending.add(word: word, before: before) }
        if journal.isActive { journal.add(word: word, before: before) }
        words[word] = value
    }

    @inline(__always) private func step(_ kind: Step) {
        steps &+= 1
        if steps >= nextStop { onStep?(kind) }
    }
}

extension SimulatedNVM {
    /// Fills the region with zeros, all of them durable.
    public func reset() {
        words.update(repeating: 0, count: Int(frameCount) * 512)
        pending.forget()
        steps = 0
    }

    /// Makes everything stored so far durable: a clean power-off.
    public func settle() { pending.forget() }

    /// Changes a word behind the code's back: wear, a flipped bit, another program. Durable at
    /// once; rolled back with the crash it happens in.
    public func damage(word: Int, to value: UInt64) {
        if journal.isActive { journal.add(word: word, before: words[word]) }
        words[word] = value
    }
}
