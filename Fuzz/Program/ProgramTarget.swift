import ABI
import Kernel
import Store

/// The kernel's loader of the first process: boot bundles and ELF files that are not what they
/// should be. Either the process starts and the system is sound, or the kernel stops and says why.
final class ProgramTarget: FuzzTarget {
    private let memory = ImageMemory(frameCount: 2048)
    private let bench: Bench
    private var started: UInt64 = 0
    private var refused: UInt64 = 0

    var counters: [(name: String, value: UInt64)] {
        [("programs", started + refused), ("started", started), ("refused", refused)]
    }

    init() throws {
        bench = Bench(memory: memory)
        try Store.format(
            memory,
            identity: StoreIdentity(
                uuidLow: 7, uuidHigh: 9, frameCount: memory.frameCount, domain: .coherentCache,
                created: 0))
        memory.keep()
    }

    func run(_ input: inout Input) {
        memory.reset()
        let bundle = bundle(&input)
        bundle.withUnsafeBytes { bytes in
            do { try boot(bytes) } catch { finding("an empty store cannot be opened: \(error)") }
        }
        bench.powerOff()
    }

    private func boot(_ bundle: UnsafeRawBufferPointer) throws {
        guard try bench.start(bundle: bundle) else {
            refused += 1
            if bench.stopReason != 3 {
                finding("stopped without a reason: \(bench.machine.state.text)")
            }
            return
        }
        started += 1
        bench.handle(.interrupt)
        bench.checkInvariants("first process")
        bench.tick()
        let report = StoreChecker.check(memory)
        if !report.isGood { finding("the store is damaged: \(report.damage)") }
        guard try bench.start(bundle: bundle) else {
            finding("no restart: \(bench.machine.state.text)")
        }
        bench.handle(.interrupt)
        bench.checkInvariants("restored first process")
    }

    /// A raw archive, a raw ELF file, or a good program with some fields changed.
    private func bundle(_ input: inout Input) -> [UInt8] {
        switch input.byte() % 4 {
        case 0: return Array(input.rest)
        case 1: return BootFile.archive(of: Array(input.rest))
        case 2:
            var archive = BootFile.plain
            patch(&archive, &input, limit: 128)
            return archive
        default:
            var program = BootFile.program
            // Up to three more headers behind the first.
            let headers = Int(input.byte() % 4)
            for _ in 0..<headers { program.insert(contentsOf: BootFile.program[64..<120], at: 64) }
            program[56] = UInt8(headers + 1)
            patch(&program, &input, limit: 64 + 56 * 4)
            return BootFile.archive(of: program)
        }
    }

    private func patch(_ bytes: inout [UInt8], _ input: inout Input, limit: Int) {
        while !input.isEmpty {
            let place = Int(input.byte()) % min(limit, bytes.count)
            let value = CallTarget.argument(&input)
            let width = Int(input.byte() % 8) + 1
            for byte in 0..<width where place + byte < bytes.count {
                bytes[place + byte] = UInt8(truncatingIfNeeded: value >> UInt64(8 * byte))
            }
        }
    }
}
