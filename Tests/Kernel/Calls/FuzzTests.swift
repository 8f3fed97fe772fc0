import ABI
import Store
import Testing

/// Random calls with hostile arguments: the kernel neither stops nor breaks an invariant.
@Suite struct FuzzTests {
    struct Random: RandomNumberGenerator {
        var state: UInt64
        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            var x = state
            x ^= x >> 33
            x = x &* 0xFF51_AFD7_ED55_8CCD
            return x ^ x >> 33
        }
    }

    static let interesting: [UInt64] = [
        0, 1, 2, 3, 4, 7, 8, 9, 10, 31, 32, 63, 64, 255, 256, 4095, 4096, 8192, 65536, 0x10_0000,
        0x40_0000,
        0x1000_0000, 0x1000_1000, 0x2000_0000, 0x7F_EFFF_F000, 0x3FFF_FFFF_F000, 0x4000_0000_0000,
        0x7FFF_FFFF_FFFF, 0xFFFF_FFFF, 0x1_0000_0000, .max, .max - 1, .max - 4095, 1 << 63,
    ]

    static func argument(_ random: inout Random) -> UInt64 {
        switch random.next() % 8 {
        case 0...3: random.next() % 40
        case 4: 0x1000_0000 + random.next() % 64 * 4096
        case 5, 6: interesting.randomElement(using: &random) ?? 0
        default: random.next()
        }
    }

    /// Calls that would end the first process or make it wait for ever come back rarely; then a
    /// power cut starts over.
    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func randomCallsBreakNothing(seed: UInt64) throws {
        var bench = try Bench(frames: 8192)
        var calls = 0
        var ends = 0
        /// A call that may end the first process was made since the last end.
        var mayEnd = false
        var random = Random(state: seed)
        let numbers = NativeCall.allCases
        for step in 0..<20_000 {
            if bench.kernel.pointee.isStopped {
                // The first process can only end because it, or its group, was told to.
                #expect(
                    bench.machine.state.text.hasSuffix(
                        "the first process ended: nothing is left to run\n"),
                    "\(bench.machine.state.text)")
                #expect(mayEnd, "nobody asked for the end")
                ends += 1
                try bench.powerCut()
            }
            if bench.isIdle {
                bench.tick(nanoseconds: 1 << 40)
                // Everybody waits for ever: nothing more can be learnt here.
                if bench.isIdle { bench = try Bench(frames: 8192) }
            }
            for core in 0..<2 {
                guard let context = bench.kernel.pointee.context(core: core) else {
                    bench.kernel.pointee.handle(.interrupt, core: core)
                    continue
                }
                var number = numbers[Int(random.next() % UInt64(numbers.count))].rawValue
                if number == NativeCall.threadExit.rawValue && random.next() % 64 != 0 {
                    number = 0
                }
                if number == NativeCall.capGroupKill.rawValue && random.next() % 64 != 0 {
                    number = 0
                }
                context.pointee.registers.rax = random.next() % 100 == 0 ? random.next() : number
                context.pointee.registers.rdi = Self.argument(&random)
                context.pointee.registers.rsi = Self.argument(&random)
                context.pointee.registers.rdx = Self.argument(&random)
                context.pointee.registers.r10 = Self.argument(&random)
                context.pointee.registers.r8 = Self.argument(&random)
                context.pointee.registers.r9 = Self.argument(&random)
                let asked = NativeCall(rawValue: context.pointee.registers.rax)
                mayEnd = mayEnd || asked == .threadExit || asked == .capGroupKill
                bench.kernel.pointee.handle(.systemCall, core: core)
                calls += 1
                if random.next() % 16 == 0 {
                    let address = Self.argument(&random)
                    let write = random.next() % 2 == 0
                    if bench.isMapped(address, core: core) {
                        bench.kernel.pointee.handle(
                            .pageFault(
                                address: address, isWrite: write, isExecute: false, errorCode: 0),
                            core: core)
                    }
                }
            }
            bench.machine.state.time += random.next() % 300_000
            if step % 500 == 0 {
                bench.kernel.pointee.handle(.timer, core: 0)
                bench.check()
            }
            if random.next() % 2000 == 0 { try bench.powerCut() }
        }
        #expect(calls > 15_000)
        #expect(ends > 0, "a run in which nothing ended shows little")
    }
}

extension Bench {
    var isIdle: Bool {
        !kernel.pointee.isStopped && kernel.pointee.context(core: 0) == nil
            && kernel.pointee.context(core: 1) == nil
    }

    /// Whether a fault there would be answered: anything else ends the first process, as it should.
    func isMapped(_ address: UInt64, core: Int) -> Bool {
        machine.lookUp(kernel.pointee.translation(core: core), address: UserAddress(address)) != nil
    }
}
