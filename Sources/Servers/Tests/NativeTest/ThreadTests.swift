import ABI
import CNativeTest
import ServerRuntime

/// Words that the test's threads share.
struct Shared {
    var finished: UInt32 = 0
    var failures: UInt32 = 0
    var turn: UInt32 = 0
    var generation: UInt32 = 0
    var seen: UInt32 = 0
    var slotA: UInt64 = 0
    var slotB: UInt64 = 0
    var seed: UInt64 = 0
}

/// Threads on several cores.
enum ThreadTests {
    static let roundMilliseconds: UInt64 = 60

    /// More threads than cores, each with a pattern of its own in its vector registers and on its
    /// stack, while checkpoints and time slices interrupt them.
    static func registersSurvive() -> Bool {
        let shared = UnsafeMutablePointer<Shared>.allocate(capacity: 8)
        let count = 5
        for index in 0..<count {
            shared[index] = Shared()
            shared[index].seed = 0x1111_1111_1111_1111 &* UInt64(index + 1)
            let started = ServerThread.start(argument: UInt64(UInt(bitPattern: shared + index))) {
                argument in
                guard let mine = UnsafeMutablePointer<Shared>(bitPattern: UInt(argument)) else {
                    return
                }
                if !ThreadTests.keepsRegisters(mine.pointee.seed) {
                    native_test_add(&mine.pointee.failures, 1)
                }
                native_test_add(&mine.pointee.finished, 1)
            }
            guard case .success = started else { return false }
        }
        var failures: UInt32 = 0
        for index in 0..<count {
            while native_test_read(&shared[index].finished) == 0 { _ = Native.call(.yield) }
            failures += native_test_read(&shared[index].failures)
        }
        return failures == 0
    }

    static func keepsRegisters(_ seed: UInt64) -> Bool {
        let end = NativeTest.now() + roundMilliseconds * 1_000_000
        while NativeTest.now() < end {
            native_test_load_vectors(seed)
            for _ in 0..<200 { native_test_pause() }
            if native_test_check_vectors(seed) == 0 { return false }
            native_test_load_vectors(~seed)
            _ = Native.call(.yield)
            if native_test_check_vectors(~seed) == 0 { return false }
        }
        return true
    }

    /// Two threads hand a turn to each other by two notifications.
    static func notificationsPass() -> Bool {
        let shared = UnsafeMutablePointer<Shared>.allocate(capacity: 1)
        shared.initialize(to: Shared())
        let there = Native.call(.notificationCreate)
        let back = Native.call(.notificationCreate)
        guard there >= 0, back >= 0 else { return false }
        shared.pointee.slotA = UInt64(there)
        shared.pointee.slotB = UInt64(back)
        let rounds: UInt32 = 500
        let started = ServerThread.start(argument: UInt64(UInt(bitPattern: shared))) { argument in
            guard let shared = UnsafeMutablePointer<Shared>(bitPattern: UInt(argument)) else {
                return
            }
            for _ in 0..<500 {
                _ = Native.call(.notificationWait, shared.pointee.slotA, UInt64.max)
                native_test_add(&shared.pointee.turn, 1)
                _ = Native.call(.notificationSignal, shared.pointee.slotB)
            }
        }
        guard case .success = started else { return false }
        for round in 1...rounds {
            guard Native.call(.notificationSignal, UInt64(there)) == 0,
                Native.call(.notificationWait, UInt64(back), UInt64.max) == 0,
                native_test_read(&shared.pointee.turn) == round
            else { return false }
        }
        return true
    }
}
