import ABI
import Store

/// A region in ordinary memory that goes back to a base image quickly: only frames that were
/// touched are copied. What is stored is durable at once (`coherentCache`).
final class ImageMemory: PersistentMemory {
    let frameCount: UInt32
    private let words: UnsafeMutablePointer<UInt64>
    private let base: UnsafeMutablePointer<UInt64>
    private let isTouched: UnsafeMutablePointer<Bool>
    private var touched: [Int] = []

    init(frameCount: UInt32) {
        self.frameCount = frameCount
        let count = Int(frameCount) * 512
        words = .allocate(capacity: count)
        words.initialize(repeating: 0, count: count)
        base = .allocate(capacity: count)
        base.initialize(repeating: 0, count: count)
        isTouched = .allocate(capacity: Int(frameCount))
        isTouched.initialize(repeating: false, count: Int(frameCount))
    }

    deinit {
        words.deallocate()
        base.deallocate()
        isTouched.deallocate()
    }

    /// Makes the present contents the base image.
    func keep() {
        base.update(from: words, count: Int(frameCount) * 512)
        forgetTouched()
    }

    /// Goes back to the base image.
    func reset() {
        for frame in touched { (words + frame * 512).update(from: base + frame * 512, count: 512) }
        forgetTouched()
    }

    private func forgetTouched() {
        for frame in touched { isTouched[frame] = false }
        touched.removeAll(keepingCapacity: true)
    }

    @inline(__always) private func touch(_ frame: Int) {
        if isTouched[frame] { return }
        isTouched[frame] = true
        touched.append(frame)
    }

    @inline(__always) private func index(_ offset: UInt64) -> Int {
        precondition(
            offset & 7 == 0 && offset < UInt64(frameCount) * pageSize, "offset outside the region")
        return Int(truncatingIfNeeded: offset >> 3)
    }

    private func check(_ offset: UInt64, _ length: UInt64) {
        let end = UInt64(frameCount) * pageSize
        precondition(offset <= end && length <= end - offset, "range outside the region")
    }

    func load(_ offset: UInt64) -> UInt64 { words[index(offset)] }
    func store(_ value: UInt64, at offset: UInt64) {
        let place = index(offset)
        touch(place / 512)
        words[place] = value
    }
    func read(_ offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) {
        check(offset, UInt64(buffer.count))
        guard let start = buffer.baseAddress, buffer.count > 0 else { return }
        start.copyMemory(from: UnsafeRawPointer(words) + Int(offset), byteCount: buffer.count)
    }
    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
        check(offset, UInt64(bytes.count))
        guard let start = bytes.baseAddress, bytes.count > 0 else { return }
        for frame in Int(offset / pageSize)...Int((offset + UInt64(bytes.count) - 1) / pageSize) {
            touch(frame)
        }
        (UnsafeMutableRawPointer(words) + Int(offset)).copyMemory(
            from: start, byteCount: bytes.count)
    }
    func copyFrame(from source: FrameNumber, to destination: FrameNumber) {
        let (from, to) = (index(source.offset), index(destination.offset))
        touch(to / 512)
        if from != to { (words + to).update(from: words + from, count: 512) }
    }
    func zeroFrame(_ frame: FrameNumber) {
        let place = index(frame.offset)
        touch(place / 512)
        (words + place).update(repeating: 0, count: 512)
    }
    func flush(_ offset: UInt64, length: UInt64) { check(offset, length) }
    func fence() {}
}
