import ABI
import Kernel
import Machine
import Store

/// The console rings: every word of a ring's pages may hold anything at any time, written by the
/// program or by the outside. The kernel publishes exactly what it committed, goes back to it at a
/// restart, and never writes the outside's pointer.
final class RingTarget: FuzzTarget {
    private let memory = ImageMemory(frameCount: StoreLayout.minimumFrames)
    private let bench: Bench
    /// The inside's pointers in the last committed version.
    private var committed: [UInt64] = [0, 0]
    private var remote: [UInt64] = [0, 0]
    private var commits: UInt64 = 0
    private var restarts: UInt64 = 0

    static let doorbellLine: UInt8 = 3
    static let rings = [StoreLayout.outputRing, StoreLayout.inputRing]
    /// Where the program has mapped them.
    static let addresses: [UInt64] = [0x2000_0000, 0x2100_0000]

    var counters: [(name: String, value: UInt64)] {
        [("commits", commits), ("restarts", restarts)]
    }

    init() throws {
        bench = Bench(memory: memory)
        // Lines that must be written back: the kernel works out which lines of the ring those are.
        try Store.format(
            memory,
            identity: StoreIdentity(
                uuidLow: 7, uuidHigh: 9, frameCount: memory.frameCount, domain: .cacheLineFlush,
                created: 0))
        guard try bench.start() else { finding("the first process does not start") }
        bench.handle(.interrupt)
        _ = Scenery.slot(bench.call(.map, 1, Self.addresses[0], 65 * 4096, 4, 0, 3))
        _ = Scenery.slot(bench.call(.map, 1, Self.addresses[1], 17 * 4096, 5, 0, 3))
        bench.tick()
        bench.powerOff()
        memory.keep()
    }

    func run(_ input: inout Input) {
        memory.reset()
        committed = [0, 0]
        remote = [0, 0]
        restart()
        while !input.isEmpty && !bench.isStopped { step(&input) }
        if bench.isStopped { finding("stopped: \(bench.machine.state.text)") }
        bench.checkInvariants("rings")
        bench.powerOff()
    }

    private func step(_ input: inout Input) {
        let kind = input.byte()
        let ring = Int(kind >> 7)
        switch kind & 7 {
        case 0...3:
            // A header word or any other, by the program.
            let offset =
                kind & 8 == 0
                ? UInt64(input.byte() % 8) * 64 + UInt64(kind & 16) / 2 : input.half() % 8192 * 8
            let value = CallTarget.argument(&input)
            watch { bench.store(value, at: Self.addresses[ring] + offset) }
            if offset == Ring.remoteOffset { remote[ring] = word(ring, offset) }
        case 4:
            remote[ring] = CallTarget.argument(&input)
            memory.store(remote[ring], at: Self.rings[ring].offset + Ring.remoteOffset)
        case 5: watch { bench.handle(.deviceInterrupt(line: Self.doorbellLine)) }
        case 6:
            watch { bench.tick() }
            for ring in 0..<2 {
                if word(ring, Ring.publishedOffset) != committed[ring] {
                    finding("published is not what was committed")
                }
                if word(ring, Ring.remoteOffset) != remote[ring] {
                    finding("a commit changed the outside's pointer")
                }
            }
        default: if kind & 0x18 == 0 { restart() }
        }
    }

    private func word(_ ring: Int, _ offset: UInt64) -> UInt64 {
        memory.load(Self.rings[ring].offset + offset)
    }

    /// Does something during which a commit may happen: before any store of the program in it.
    private func watch(_ body: () -> Void) {
        let local = [word(0, Ring.localOffset), word(1, Ring.localOffset)]
        let version = bench.kernel.pointee.store.committed
        body()
        if bench.kernel.pointee.store.committed == version { return }
        commits += 1
        committed = local
    }

    private func restart() {
        restarts += 1
        do { if try !bench.start() { finding("no restart: \(bench.machine.state.text)") } } catch {
            finding("the store cannot be opened: \(error)")
        }
        for ring in 0..<2 {
            let isBack =
                word(ring, Ring.localOffset) == committed[ring]
                && word(ring, Ring.publishedOffset) == committed[ring]
            if !isBack { finding("a restart did not go back to the committed pointers") }
            if word(ring, Ring.remoteOffset) != remote[ring] {
                finding("a restart changed the outside's pointer")
            }
        }
        watch { bench.handle(.interrupt) }
    }
}
