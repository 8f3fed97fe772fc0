import ABI
import CLinuxServer
import Glibc

/// The outside of the console rings: what the CLI does for the real machine.
final class HostedConsole {
    private let output: UnsafeMutableRawPointer
    private let input: UnsafeMutableRawPointer
    private let capacity = HostedMachine.ringCapacity

    init(output: HostedPMO, input: HostedPMO) {
        self.output = output.base
        self.input = input.base
        for base in [output.base, input.base] {
            HostedConsole.word(base, Ring.magicOffset).pointee = Ring.magic
            HostedConsole.word(base, Ring.capacityOffset).pointee = HostedMachine.ringCapacity
        }
    }

    private static func word(_ base: UnsafeMutableRawPointer, _ offset: UInt64)
        -> UnsafeMutablePointer<UInt64>
    {
        (base + Int(offset)).assumingMemoryBound(to: UInt64.self)
    }

    private func byte(_ base: UnsafeMutableRawPointer, _ position: UInt64) -> UnsafeMutablePointer<
        UInt8
    > {
        (base + Int(Ring.dataOffset + position % capacity)).assumingMemoryBound(to: UInt8.self)
    }

    // MARK: Output

    /// Shows what the server wrote. True: it had filled half the ring, so that someone may wait for
    /// room.
    func pump() -> Bool {
        let local = evertree_shared_load(HostedConsole.word(output, Ring.localOffset))
        var remote = HostedConsole.word(output, Ring.remoteOffset).pointee
        let wasFull = local - remote > capacity / 2
        while remote < local {
            var header: UInt64 = 0
            for index in 0..<UInt64(8) {
                header |= UInt64(byte(output, remote + index).pointee) << (index * 8)
            }
            let length = UInt64(ConsoleFrame.length(header))
            var payload = [UInt8]()
            payload.reserveCapacity(Int(length))
            for index in 0..<length { payload.append(byte(output, remote + 8 + index).pointee) }
            show(ConsoleFrame.Output(rawValue: ConsoleFrame.kind(header)), payload)
            remote += ConsoleFrame.paddedLength(UInt32(length))
        }
        evertree_shared_store(HostedConsole.word(output, Ring.remoteOffset), remote)
        return wasFull
    }

    private func show(_ kind: ConsoleFrame.Output?, _ payload: [UInt8]) {
        switch kind {
        case .standardOutput: writeAll(1, payload)
        case .standardError: writeAll(2, payload)
        case .diagnostic: writeAll(2, Array("evertree: ".utf8) + payload + [10])
        case .exit: exit(Int32(payload.first ?? 0))
        case nil: writeAll(2, Array("evertree: unknown console frame\n".utf8))
        }
    }

    private func writeAll(_ descriptor: Int32, _ bytes: [UInt8]) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                write(descriptor, $0.baseAddress.map { $0 + done }, $0.count - done)
            }
            if count < 0 { return }
            done += count
        }
    }

    // MARK: Input

    func start(_ machine: HostedMachine) {
        let console = self
        let thread = Reader(console: console, machine: machine)
        var handle = pthread_t()
        pthread_create(
            &handle, nil,
            { raw in
                guard let raw else { return nil }
                Unmanaged<Reader>.fromOpaque(raw).takeRetainedValue().run()
                return nil
            }, Unmanaged.passRetained(thread).toOpaque())
    }

    private final class Reader {
        let console: HostedConsole
        let machine: HostedMachine
        init(console: HostedConsole, machine: HostedMachine) {
            self.console = console
            self.machine = machine
        }

        func run() {
            var buffer = [UInt8](repeating: 0, count: 4096)
            while true {
                let count = read(0, &buffer, buffer.count)
                if count <= 0 {
                    console.send(.endOfInput, [])
                    machine.ringDoorbell()
                    return
                }
                console.send(.standardInput, Array(buffer[..<count]))
                machine.ringDoorbell()
            }
        }
    }

    private func send(_ kind: ConsoleFrame.Input, _ payload: [UInt8]) {
        let total = ConsoleFrame.paddedLength(UInt32(payload.count))
        let start = HostedConsole.word(input, Ring.remoteOffset).pointee
        while start + total - evertree_shared_load(HostedConsole.word(input, Ring.localOffset))
            > capacity
        {
            usleep(1000)
        }
        let header = ConsoleFrame.word(kind: kind.rawValue, length: UInt32(payload.count))
        for index in 0..<UInt64(8) {
            byte(input, start + index).pointee = UInt8(truncatingIfNeeded: header >> (index * 8))
        }
        for (index, value) in payload.enumerated() {
            byte(input, start + 8 + UInt64(index)).pointee = value
        }
        evertree_shared_store(HostedConsole.word(input, Ring.remoteOffset), start + total)
    }
}
