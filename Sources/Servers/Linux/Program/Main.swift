import ABI
import CServerRuntime
import LinuxServer
import ServerRuntime

/// The first process of an Evertree machine: the Linux server on the native calls.
@main
struct Main {
    /// Room for the server's own objects: 1 GiB of addresses, of which only touched pages cost
    /// memory.
    static let heapPages: UInt64 = 1 << 18

    static func main() {
        Startup.startHeap(pageCount: heapPages)
        do throws(Errno) {
            try LinuxServerBoot.start(bundleLength: Startup.bundleLength)
        } catch {
            DebugOutput.write("linux-server: could not start, errno ")
            DebugOutput.write(UInt64(truncatingIfNeeded: error.rawValue))
            DebugOutput.write("\n")
        }
    }
}

@c(evertree_native_call)
public func nativeCall(
    _ number: UInt64, _ a: UInt64, _ b: UInt64, _ c: UInt64, _ d: UInt64, _ e: UInt64, _ f: UInt64
) -> Int64 {
    evertree_call6(number, a, b, c, d, e, f)
}

/// Stacks of server threads: 256 KiB each, far above the heap, with unmapped pages between them.
/// Server threads never end, so stacks are never given back.
enum ThreadStacks {
    static let base: UInt64 = 0x30_0000_0000
    static let pages: UInt64 = 64
    static let stride: UInt64 = 0x10_0000
    /// Called with the server lock held, or before there is a second thread.
    nonisolated(unsafe) private static var count: UInt64 = 0

    /// Maps one more stack; its end. nil: no memory.
    static func next() -> UInt64? {
        let address = base &+ count &* stride
        let pmo = Native.call(.pmoCreate, pages)
        guard pmo >= 0 else { return nil }
        let protection = Protection.read.rawValue | Protection.write.rawValue
        let mapped = Native.call(
            .map, UInt64(RootSlot.vmSpace.value), address, pages &* pageSize, UInt64(pmo), 0,
            UInt64(protection))
        guard mapped == 0 else { return nil }
        count &+= 1
        return address &+ pages &* pageSize
    }
}

@c(evertree_start_server_thread)
public func startServerThread(_ run: @escaping @convention(c) (UInt64) -> Void, _ argument: UInt64)
    -> Int64
{
    guard let top = ThreadStacks.next() else { return -NativeError.noMemory.rawValue }
    // The start frame lies at the top of the stack itself.
    let frame = top &- 64
    guard let start = UnsafeMutablePointer<evertree_thread>(bitPattern: UInt(frame)) else {
        return -1
    }
    start.initialize(to: evertree_thread(run: run, argument: argument))
    return Native.call(
        .threadCreate, UInt64(RootSlot.capGroup.value), UInt64(RootSlot.vmSpace.value),
        evertree_thread_entry(), frame,
        frame)
}
