import ABI
import CMachinePC
import CPrimitives
import Store

/// The NVM region through the kernel's window.
struct NVM: PersistentMemory {
    /// Physical address of frame 0.
    let physicalBase: UInt64
    let frameCount: UInt32
    /// How stores become durable (Docs/decisions/0005-host-power.md).
    private(set) var domain: PersistenceDomain
    private let base: UInt64
    private static let cacheLine: UInt64 = 64
    private static let frameWords: UInt64 = pageSize / 8

    init(physicalBase: UInt64, byteCount: UInt64, domain: PersistenceDomain) {
        self.physicalBase = physicalBase
        self.domain = domain
        base = Window.address(physicalBase)
        frameCount = UInt32(clamping: byteCount / pageSize)
    }

    /// The same region in another persistence domain.
    func with(domain: PersistenceDomain) -> NVM {
        var copy = self
        copy.domain = domain
        return copy
    }

    private func words(_ offset: UInt64) -> UnsafeMutablePointer<UInt64> {
        Window.words(base &+ offset)
    }

    func load(_ offset: UInt64) -> UInt64 { evertree_load_u64(words(offset)) }

    func store(_ value: UInt64, at offset: UInt64) { evertree_store_u64(words(offset), value) }

    func read(_ offset: UInt64, into buffer: UnsafeMutableRawBufferPointer) {
        buffer.copyMemory(from: UnsafeRawBufferPointer(start: words(offset), count: buffer.count))
    }

    func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) {
        UnsafeMutableRawBufferPointer(start: words(offset), count: bytes.count).copyMemory(
            from: bytes)
    }

    func copyFrame(from source: FrameNumber, to destination: FrameNumber) {
        pc_copy_words(base &+ destination.offset, base &+ source.offset, Self.frameWords)
    }

    func writeFrame(_ frame: FrameNumber, from source: UnsafeRawPointer) {
        pc_copy_words(base &+ frame.offset, UInt64(UInt(bitPattern: source)), Self.frameWords)
    }

    func readFrame(_ frame: FrameNumber, into destination: UnsafeMutableRawPointer) {
        pc_copy_words(UInt64(UInt(bitPattern: destination)), base &+ frame.offset, Self.frameWords)
    }

    func zeroFrame(_ frame: FrameNumber) { pc_zero_words(base &+ frame.offset, Self.frameWords) }

    func flush(_ offset: UInt64, length: UInt64) {
        guard domain == .cacheLineFlush, length > 0 else { return }
        var at = (base &+ offset) & ~(Self.cacheLine - 1)
        let end = base &+ offset &+ length
        while at < end {
            evertree_clwb(Window.words(at))
            at &+= Self.cacheLine
        }
    }

    func fence() {
        evertree_store_fence()
        if domain == .hostFlush { waitForHost() }
    }

    /// Asks the host to flush the region's file, and waits until it has. The host's command is there
    /// as long as the machine is; a ring that gets lost is rung again.
    private func waitForHost() {
        let page = StoreLayout.statistics.offset
        let request = page + UInt64(StatisticsLayout.flushRequestOffset)
        let number = load(request) &+ 1
        store(number, at: request)
        var count: UInt32 = 0
        while load(page + UInt64(StatisticsLayout.flushDoneOffset)) != number {
            if count & 0xF_FFFF == 0 { SerialPort.doorbell.send(1, spins: 1000) }
            count &+= 1
            evertree_spin(count)
        }
    }
}
