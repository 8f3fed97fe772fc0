import Testing

@testable import LinuxServer

/// What waits to be delivered, and the small records of the ABI.
@Suite struct SignalQueueTests {
    private func info(_ number: Int32, code: Int32 = 0) -> SignalInfo {
        SignalInfo(signal: Signal(number), code: code, details: .none)
    }

    @Test func standardSignalsAreKeptOnceRealTimeOnesInOrder() throws {
        var queue = SignalQueue()
        try queue.add(info(10, code: 1))
        try queue.add(info(10, code: 2))
        try queue.add(info(40, code: 1))
        try queue.add(info(40, code: 2))
        #expect(queue.take(.max)?.code == 1)
        #expect(queue.take(.max)?.code == 1)
        #expect(queue.take(.max)?.code == 2)
        #expect(queue.take(.max) == nil)
        #expect(queue.pending == 0)
    }

    @Test func lowNumbersFirstButFaultsBeforeAll() throws {
        var queue = SignalQueue()
        for number: Int32 in [15, 2, 11] { try queue.add(info(number)) }
        #expect(queue.take(.max)?.signal == .segmentation)
        #expect(queue.take(~Signal.interrupt.bit)?.signal == .terminate)
        #expect(queue.take(.max)?.signal == .interrupt)
    }

    @Test func aFullQueueSaysSo() throws {
        var queue = SignalQueue()
        for _ in 0..<SignalQueue.limit { try queue.add(info(40)) }
        #expect(throws: Errno.EAGAIN) { try queue.add(info(41)) }
        queue.drop(Signal(40).bit)
        #expect(queue.pending == 0)
    }

    /// Otherwise a process could fill its queue with blocked signals and be out of SIGKILL's reach.
    @Test func aStandardSignalAlwaysFindsRoom() throws {
        var queue = SignalQueue()
        for _ in 0..<SignalQueue.limit { try queue.add(info(40)) }
        try queue.add(info(9))
        #expect(queue.take(Signal.kill.bit)?.signal == .kill)
    }

    @Test func signalNumbersAreChecked() {
        #expect(Signal(checking: 0) == nil)
        #expect(Signal(checking: 65) == nil)
        #expect(Signal(checking: -1) == nil)
        #expect(Signal(checking: 64)?.bit == 1 << 63)
    }

    @Test func timesAreCheckedAndFarFuturesCut() throws {
        func record(_ seconds: Int64, _ fraction: UInt64) -> Bytes {
            var writer = ByteWriter()
            writer.put64(seconds)
            writer.put64(fraction)
            return writer.bytes
        }
        #expect(try TimeRecord.nanoseconds(record(2, 5), 0, unit: 1) == 2_000_000_005)
        #expect(try TimeRecord.nanoseconds(record(2, 5), 0, unit: 1000) == 2_000_005_000)
        #expect(try TimeRecord.nanoseconds(record(Int64.max, 0), 0, unit: 1) == UInt64(Int64.max))
        #expect(throws: Errno.EINVAL) { try TimeRecord.nanoseconds(record(-1, 0), 0, unit: 1) }
        #expect(throws: Errno.EINVAL) {
            try TimeRecord.nanoseconds(record(0, 1_000_000_000), 0, unit: 1)
        }
        #expect(throws: Errno.EINVAL) {
            try TimeRecord.nanoseconds(record(0, 1_000_000), 0, unit: 1000)
        }
    }

    @Test func theBootSpecificationIsRead() {
        let text = "program=/bin/sh\0arg=sh\0arg=-c\0env=A=b=c\0cwd=/tmp\0terminal=101\0nonsense\0"
        let specification = BootSpecification(Array(text.utf8))
        #expect(specification.program == Array("/bin/sh".utf8))
        #expect(specification.arguments == [Array("sh".utf8), Array("-c".utf8)])
        #expect(specification.environment == [Array("A=b=c".utf8)])
        #expect(specification.terminals == [true, false, true])
        #expect(specification.workingDirectory == Array("/tmp".utf8))
    }

    @Test func everyCallHasOneEntry() {
        let entries = CallTable.all()
        #expect(Set(entries.map { $0.number }).count == entries.count)
        #expect(entries.allSatisfy { $0.number >= 0 && $0.number < 512 })
        #expect(entries.count > 190)
    }
}
