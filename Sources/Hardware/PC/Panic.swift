import CMachinePC
import Kernel

/// The end by a defect: registers and a backtrace on the debug port, the first line for the host,
/// then the machine stops.
enum Panic {
    nonisolated(unsafe) private static var isPanicking: UInt32 = 0
    private static let maximumDepth = 48

    static func stop(_ message: StaticString) -> Never {
        stop(
            UnsafeRawBufferPointer(start: message.utf8Start, count: message.utf8CodeUnitCount),
            frame: nil)
    }

    /// `frame`: the state at an exception; nil for a call.
    static func stop(
        _ message: UnsafeRawBufferPointer, frame: UnsafeMutablePointer<pc_fatal_frame>?
    ) -> Never {
        // The first core to panic speaks; a panic inside a panic ends silently.
        guard pc_fetch_add(&isPanicking, 1) == 0 else { Shutdown.now() }
        KernelHost.kernel?.pointee.machine.localAPIC.stopOthers()
        DebugText.write("panic: ")
        for byte in message { DebugText.write(byte: byte) }
        DebugText.write("\n")
        if let frame {
            writeRegisters(frame)
            writeBacktrace(from: frame.pointee.rip, framePointer: frame.pointee.rbp)
        } else {
            writeBacktrace(from: 0, framePointer: pc_frame_pointer())
        }
        KernelHost.recordStop(message)
        Shutdown.now()
    }

    private static func writeRegisters(_ frame: UnsafeMutablePointer<pc_fatal_frame>) {
        let f = frame.pointee
        write("vector ", f.vector, " error ", f.error, " cr2 ", pc_read_cr2())
        write("rip ", f.rip, " rsp ", f.rsp, " rflags ", f.rflags)
        write("rax ", f.rax, " rbx ", f.rbx, " rcx ", f.rcx)
        write("rdx ", f.rdx, " rsi ", f.rsi, " rdi ", f.rdi)
        write("rbp ", f.rbp, " r8  ", f.r8, " r9  ", f.r9)
        write("r10 ", f.r10, " r11 ", f.r11, " r12 ", f.r12)
        write("r13 ", f.r13, " r14 ", f.r14, " r15 ", f.r15)
    }

    private static func write(
        _ a: StaticString, _ x: UInt64, _ b: StaticString, _ y: UInt64, _ c: StaticString,
        _ z: UInt64
    ) {
        DebugText.write(a)
        DebugText.write(hex: x)
        DebugText.write(b)
        DebugText.write(hex: y)
        DebugText.write(c)
        DebugText.write(hex: z)
        DebugText.write("\n")
    }

    /// Follows the frame pointers as long as they lead up inside the kernel's stacks.
    private static func writeBacktrace(from instruction: UInt64, framePointer: UInt64) {
        DebugText.write("backtrace:\n")
        if instruction != 0 { SymbolTable.write(instruction) }
        var frame = framePointer
        for _ in 0..<maximumDepth {
            guard isOnStack(frame), let words = UnsafePointer<UInt64>(bitPattern: UInt(frame))
            else { return }
            SymbolTable.write(words[1])
            guard words[0] > frame else { return }
            frame = words[0]
        }
    }

    private static func isOnStack(_ address: UInt64) -> Bool {
        let start = pc_stack_address(0)
        let end = pc_stack_address(UInt32(PC_MAX_CORES))
        // The lowest page of a stack is its guard.
        return address % 8 == 0 && address >= start && address + 16 <= end
            && (address - start) % UInt64(PC_STACK_BYTES) >= 4096
    }

    static func name(ofException vector: UInt64) -> StaticString {
        switch vector {
        case 0: "division by zero in the kernel"
        case 2: "non-maskable interrupt"
        case 6: "trap in the kernel (a failed check, an overflow or an index out of range)"
        case 8: "double fault (kernel stack overflow?)"
        case 13: "general protection fault in the kernel"
        case 14: "page fault in the kernel"
        case 18: "machine check"
        default: "exception in the kernel"
        }
    }

    /// True once some core has panicked.
    static var isUnderWay: Bool { pc_load_acquire(&isPanicking) != 0 }
}

/// An exception that the kernel does not survive.
@c(pc_fatal_exception)
public func fatalException(_ frame: UnsafeMutablePointer<pc_fatal_frame>) -> Never {
    // Another core's panic stops this one.
    if frame.pointee.vector == 2 && Panic.isUnderWay { pc_stop_core() }
    let message = Panic.name(ofException: frame.pointee.vector)
    Panic.stop(
        UnsafeRawBufferPointer(start: message.utf8Start, count: message.utf8CodeUnitCount),
        frame: frame)
}

/// The runtime's last words (see `runtime.h`).
@c(evertree_abort)
public func kernelAbort(_ message: UnsafePointer<CChar>) -> Never {
    var length = 0
    while message[length] != 0 { length += 1 }
    Panic.stop(UnsafeRawBufferPointer(start: message, count: length), frame: nil)
}

/// putchar(3), for Swift's own messages.
@c(putchar)
public func kernelPutCharacter(_ character: Int32) -> Int32 {
    DebugText.write(byte: UInt8(truncatingIfNeeded: character))
    return character
}
