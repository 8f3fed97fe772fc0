import ABI
import Machine
import Store

/// The calling thread and its arguments, in the order of the call's list (`NativeCall`). Whatever
/// type an argument is read as, it is an allegation: a slot may be empty, an address unmapped.
struct CallFrame {
    let thread: ThreadPointer
    let core: Int

    init(_ thread: ThreadPointer, core: Int) {
        self.thread = thread
        self.core = core
    }

    var group: CapGroupPointer { thread.pointee.group }
    var space: VMSpacePointer { thread.pointee.space }
    /// Which call it is.
    var number: UInt64 { thread.pointee.context.registers.rax }

    /// Argument `index`, 0 to 5 (System V order for system calls: rdi rsi rdx r10 r8 r9).
    func word(_ index: Int) -> UInt64 {
        let registers = thread.pointee.context.registers
        return switch index {
        case 0: registers.rdi
        case 1: registers.rsi
        case 2: registers.rdx
        case 3: registers.r10
        case 4: registers.r8
        default: registers.r9
        }
    }

    func slot(_ index: Int) -> Slot { Slot(alleged: word(index)) }
    func address(_ index: Int) -> UserAddress { UserAddress(word(index)) }
    func rights(_ index: Int) -> Rights {
        Rights(rawValue: UInt16(truncatingIfNeeded: word(index)))
    }
    /// Errors: `badArgument` when other bits are set.
    func protection(_ index: Int) throws(NativeError) -> Protection {
        guard word(index) < 8 else { throw .badArgument }
        return Protection(rawValue: UInt8(word(index)))
    }
    /// A number of pages or of a page, no more than a PMO can have.
    func pages(_ index: Int) throws(NativeError) -> UInt64 {
        guard word(index) <= PageTree.maximumPages else { throw .badArgument }
        return word(index)
    }
}
