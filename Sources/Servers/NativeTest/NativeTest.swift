import ABI
import ServerRuntime

/// The smallest server: proves that a ring-3 Embedded Swift program starts, calls the kernel and allocates.
@main
struct NativeTest {
    static func main() {
        DebugOutput.write("native-test: started\n")
        for _ in 0..<1000 where Native.call(.null) != 0 { panic("null call failed") }
        if Native.call(.notificationSignal, UInt64(UInt32.max)) != -NativeError.noCapability.rawValue {
            panic("a slot that does not exist was accepted")
        }
        Startup.startHeap(pageCount: 1024)
        DebugOutput.write("native-test: sum of squares ")
        DebugOutput.write(sumOfSquares(upTo: 1000))
        DebugOutput.write("\nnative-test: done\n")
    }

    /// Through a growing array, so that the heap is used.
    static func sumOfSquares(upTo limit: UInt64) -> UInt64 {
        var squares: [UInt64] = []
        for number in 1...limit { squares.append(number * number) }
        return squares.reduce(0, +)
    }
}
