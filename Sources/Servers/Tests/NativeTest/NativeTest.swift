import ABI
import ServerRuntime

/// A ring-3 server that tests the machine and the kernel from the user's side: one line a test on
/// the debug port. It ends by exhausting its threads, which stops the machine. Run by
/// Tools/boot-test.
@main
struct NativeTest {
    static func main() {
        DebugOutput.write("native-test: started\n")
        check(callsReturn(), "calls return")
        Startup.startHeap(pageCount: 4096)
        check(sumOfSquares(upTo: 1000) == 333_833_500, "arrays grow")
        check(timerWakes(), "timer wakes")
        check(SharedMemoryTests.remappingIsSeenEverywhere(), "remapping is seen everywhere")
        check(SharedMemoryTests.protectionIsSeenEverywhere(), "mappings go and come")
        check(ThreadTests.registersSurvive(), "registers survive")
        check(ThreadTests.notificationsPass(), "notifications pass")
        check(MemoryTests.writesSurviveCheckpoints(), "writes survive checkpoints")
        check(DeviceTests.registersCanBeMapped(), "device registers can be mapped")
        Measurements.run()
        DebugOutput.write("native-test: all passed\n")
    }

    static func check(_ passed: Bool, _ name: StaticString) {
        DebugOutput.write(passed ? "native-test: ok " : "native-test: FAILED ")
        DebugOutput.write(name)
        DebugOutput.write("\n")
        if !passed { panic("a test failed") }
    }

    static func callsReturn() -> Bool {
        for _ in 0..<1000 where Native.call(.null) != 0 { return false }
        return Native.call(.notificationSignal, UInt64(UInt32.max)) == -NativeError.noCapability
            .rawValue
            && Native.call(.pmoCreate, 0) != 0
    }

    /// Through a growing array, so that the heap is used.
    static func sumOfSquares(upTo limit: UInt64) -> UInt64 {
        var squares: [UInt64] = []
        for number in 1...limit { squares.append(number * number) }
        return squares.reduce(0, +)
    }

    /// Waits for nothing, for 5 ms, several times.
    static func timerWakes() -> Bool {
        let notification = Native.call(.notificationCreate)
        guard notification >= 0 else { return false }
        for _ in 0..<5 {
            let start = now()
            let result = Native.call(.notificationWait, UInt64(notification), start + 5_000_000)
            guard result == -NativeError.timedOut.rawValue, now() >= start + 5_000_000 else {
                return false
            }
        }
        return true
    }

    /// Monotonic nanoseconds.
    static func now() -> UInt64 { UInt64(bitPattern: Native.call(.clockRead, 0)) }
}
