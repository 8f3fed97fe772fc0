import ABI
import CServerRuntime

/// Text to the debug port, at once and not held back for a commit. For tests and for last words.
public enum DebugOutput {
    /// `debugWrite` takes at most 256 bytes a call.
    private static let chunk: UInt64 = 256

    public static func write(_ text: StaticString) {
        write(
            address: UInt64(UInt(bitPattern: text.utf8Start)),
            length: UInt64(text.utf8CodeUnitCount))
    }

    /// Writes `length` bytes at an address of the caller's.
    public static func write(address: UInt64, length: UInt64) {
        var done: UInt64 = 0
        while done < length {
            let part = min(chunk, length - done)
            // Nobody is left to tell that the debug port refused.
            _ = Native.call(.debugWrite, UInt64(RootSlot.system.value), address &+ done, part)
            done += part
        }
    }

    /// Writes a number in base ten.
    public static func write(_ number: UInt64) {
        var digits = InlineArray<20, UInt8>(repeating: 0)
        var at = 20
        var rest = number
        repeat {
            at -= 1
            digits[at] = UInt8(rest % 10) + UInt8(ascii: "0")
            rest /= 10
        } while rest > 0
        withUnsafePointer(to: &digits) {
            write(address: UInt64(UInt(bitPattern: $0)) + UInt64(at), length: UInt64(20 - at))
        }
    }
}

/// Ends the server with a message on the debug port.
public func panic(_ message: StaticString) -> Never {
    DebugOutput.write("server panic: ")
    DebugOutput.write(message)
    DebugOutput.write("\n")
    evertree_undefined()
}

/// putchar(3), for Swift's `print`.
@c(putchar)
public func serverPutCharacter(_ character: Int32) -> Int32 {
    var byte = UInt8(truncatingIfNeeded: character)
    withUnsafePointer(to: &byte) {
        DebugOutput.write(address: UInt64(UInt(bitPattern: $0)), length: 1)
    }
    return character
}

/// The runtime's last words (see `runtime.h`).
@c(evertree_abort)
public func serverAbort(_ message: UnsafePointer<CChar>) -> Never {
    var length: UInt64 = 0
    while message[Int(length)] != 0 { length += 1 }
    DebugOutput.write("server panic: ")
    DebugOutput.write(address: UInt64(UInt(bitPattern: message)), length: length)
    DebugOutput.write("\n")
    evertree_undefined()
}
