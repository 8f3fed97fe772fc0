import Synchronization

/// Test memory that forgets: two images of the same region, what the processor sees and what is
/// durable.
///
/// Fault model (each 8-byte word for itself, so a longer store may tear):
/// - a word stored but not flushed may be durable or not at a crash (a cache evicts when it likes);
/// - a word flushed but not fenced may be old, as it was at the flush, or as it is now;
/// - after the fence the flushed value is durable.
///
/// Legal faults left out: none of the words takes a value that was never stored. A word stored
/// twice between two steps is only crashed with its last value.
public final class SimulatedMemory: RegionBacking, @unchecked Sendable {
    private let view: UnsafeMutablePointer<UInt64>
    private let durable: UnsafeMutablePointer<UInt64>
    private let words: Int
    private let ownsView: Bool
    /// Words that lie together, and from the start of one such chunk to the start of the next.
    private let chunkWords: Int
    private let strideWords: Int
    /// Lines flushed and not fenced, with their words at the flush.
    private var pendingLines: [Int] = []
    private var pendingWords: [UInt64] = []
    private(set) public var committedBytes: UInt64 = 0
    /// Persist steps (flushes and fences) so far.
    private(set) public var steps = 0
    /// Fences so far.
    private(set) public var fences = 0
    /// Fences and settlings so far.
    private(set) public var diskWaits = 0
    /// Words of ranges that are private now, as the file would hold them, by offset.
    private var shared: [UInt64: [UInt64]] = [:]
    /// Redo commits take the way they take on a file: journal blocks.
    public var journals = false
    /// Called before each persist step: the place to crash.
    public var onStep: ((SimulatedMemory) -> Void)?

    /// - Parameters:
    ///   - bytes: capacity; a multiple of 64.
    ///   - place: where to map it, for tests of heaps that move; stays the caller's. Nil: anywhere.
    public init(bytes: Int, at place: UnsafeMutablePointer<UInt64>? = nil) {
        precondition(bytes % 64 == 0)
        words = bytes / 8
        (chunkWords, strideWords) = (words, words)
        view = place ?? .allocate(capacity: words)
        ownsView = place == nil
        durable = .allocate(capacity: words)
        view.initialize(repeating: 0, count: words)
        durable.initialize(repeating: 0, count: words)
    }

    /// Memory in chunks that lie `stride` bytes apart, as files mapped into slots do.
    package init(chunks: Int, of bytes: Int, stride: Int, at place: UnsafeMutableRawPointer) {
        precondition(bytes % 64 == 0 && stride % bytes == 0)
        words = chunks * bytes / 8
        (chunkWords, strideWords) = (bytes / 8, stride / 8)
        view = place.assumingMemoryBound(to: UInt64.self)
        ownsView = false
        durable = .allocate(capacity: words)
        durable.initialize(repeating: 0, count: words)
        committedBytes = UInt64(chunks * stride)
    }

    /// Calls `body` for each chunk with where it is seen, and with its first word's number.
    @inline(__always)
    private func forEachChunk(_ body: (UnsafeMutablePointer<UInt64>, Int) -> Void) {
        for chunk in 0..<words / chunkWords {
            body(view + chunk * strideWords, chunk * chunkWords)
        }
    }

    /// The number of the word at an offset of the region.
    @inline(__always)
    private func word(at offset: UInt64) -> Int {
        let word = Int(offset) / 8
        return word / strideWords * chunkWords + word % strideWords
    }

    @inline(__always)
    private func seen(_ word: Int) -> UnsafeMutablePointer<UInt64> {
        view + (word / chunkWords * strideWords + word % chunkWords)
    }

    deinit {
        if ownsView { view.deallocate() }
        durable.deallocate()
    }

    /// Memory as it is found after a power cut: starts from an image that `crashImage` made.
    public convenience init(image: [UInt64], committedBytes: UInt64) {
        self.init(bytes: image.count * 8)
        load(image, committedBytes: committedBytes)
    }

    /// Becomes the memory of another machine, without allocating anew.
    public func load(_ image: [UInt64], committedBytes: UInt64) {
        precondition(image.count == words)
        image.withUnsafeBufferPointer {
            guard let source = $0.baseAddress else { return }
            forEachChunk { view, first in view.update(from: source + first, count: chunkWords) }
            durable.update(from: source, count: words)
        }
        self.committedBytes = committedBytes
        shared = [:]
        forgetPending()
    }

    private func forgetPending() {
        pendingLines.removeAll(keepingCapacity: true)
        pendingWords.removeAll(keepingCapacity: true)
    }

    /// All words as the processor sees them: what a machine that is switched off in order leaves.
    public var contents: [UInt64] { (0..<words).map { seen($0).pointee } }

    /// A region over this memory.
    public func region() -> PersistentRegion {
        PersistentRegion(
            base: UnsafeMutableRawPointer(view),
            reservedBytes: UInt64(words / chunkWords * strideWords * 8), domain: .simulated,
            backing: self, journals: journals)
    }

    package func grow(to bytes: UInt64) throws(PersistentMemoryError) {
        committedBytes = max(committedBytes, bytes)
    }
    package func close(keepingReadable: Bool) {}

    package func flush(_ offset: UInt64, _ length: Int) {
        step()
        let first = word(at: offset & ~63)
        var line = first / 8
        let last = (first + (Int(offset % 64) + length - 1) / 8) / 8
        let seen = seen(first) - first
        while line <= last {
            pendingLines.append(line)
            for index in 0..<8 { pendingWords.append(seen[line * 8 + index]) }
            line += 1
        }
    }

    package func fence() {
        step()
        fences += 1
        diskWaits += 1
        for (entry, line) in pendingLines.enumerated() {
            for index in 0..<8 { durable[line * 8 + index] = pendingWords[entry * 8 + index] }
        }
        forgetPending()
    }

    package func settle() {
        step()
        diskWaits += 1
        exchangePrivate()
        forEachChunk { view, first in (durable + first).update(from: view, count: chunkWords) }
        exchangePrivate()
        forgetPending()
    }

    // MARK: Private ranges

    package func makePrivate(_ offset: UInt64, _ length: UInt64) -> Bool {
        shared[offset] = Array(
            UnsafeBufferPointer(start: view + Int(offset) / 8, count: Int(length) / 8))
        return true
    }

    package func makeShared(_ offset: UInt64, _ length: UInt64) {
        for (start, content) in shared where start >= offset && start < offset + length {
            for (index, word) in content.enumerated() { view[Int(start) / 8 + index] = word }
            shared[start] = nil
        }
    }

    /// Puts what the file would hold where the program's view is, and back.
    private func exchangePrivate() {
        for (offset, content) in shared {
            let place = view + Int(offset) / 8
            shared[offset] = Array(UnsafeBufferPointer(start: place, count: content.count))
            for (index, word) in content.enumerated() { place[index] = word }
        }
    }

    private func step() {
        steps += 1
        onStep?(self)
    }

    /// What a power cut at this instant leaves. Every word that is not surely durable takes one of
    /// its possible values.
    public func crashImage(into image: inout [UInt64], random: inout SplitMix64) {
        exchangePrivate()
        defer { exchangePrivate() }
        image.withUnsafeMutableBufferPointer { buffer in
            guard let target = buffer.baseAddress else { return }
            target.update(from: durable, count: words)
            for (entry, line) in pendingLines.enumerated() {
                let chosen = random.next()
                for index in 0..<8 where chosen >> UInt64(index * 7) & 1 == 0 {
                    target[line * 8 + index] = pendingWords[entry * 8 + index]
                }
            }
            // The mixture itself is random: near nothing, near everything, and between.
            let odds = random.next() % 9
            forEachChunk { view, first in
                let durable = durable + first
                for word in 0..<chunkWords where view[word] != durable[word] {
                    if random.next() % 8 < odds { target[first + word] = view[word] }
                }
            }
        }
    }
}

/// Steele, Lea and Flood's generator (OOPSLA 2014): one seed reproduces a whole campaign.
public struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64
    @inlinable public init(seed: UInt64) { self.init(state: seed) }
    @usableFromInline init(state: UInt64) { self.state = state }
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
