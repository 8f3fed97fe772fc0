import ABI
import Store

/// A processor's translation of one VM space. It is a cache of the kernel's region tables: the
/// machine may drop any entry at any time, and the next access faults again.
public struct Translation: Equatable, Sendable {
    public var value: UInt64
    @inlinable public init(_ value: UInt64) { self.value = value }
    public static let none = Translation(0)
    @inlinable public var isNone: Bool { value == 0 }
}

/// The user-visible state of a processor that belongs to a thread: 160 bytes of registers, then the
/// 512-byte FXSAVE area at offset 160 (16-byte aligned). The address of a running thread's context
/// never changes.
public struct ThreadContext {
    public var registers = Registers()
    public var fpu = FPUState()
    @inlinable public init() {}
}

/// The FXSAVE area (Intel SDM vol. 1, 10.5.1). Starts as the processor does after `fninit`, all
/// exceptions masked.
public struct FPUState {
    public var words: InlineArray<64, UInt64>
    @inlinable public init() {
        words = InlineArray(repeating: 0)
        words[0] = 0x037F
        words[3] = 0x1F80
    }
    /// Clears the MXCSR bits that would fault when loaded (mask 0xFFFF).
    @inlinable public mutating func sanitize() { words[3] &= 0xFFFF }
}

/// What a mapping leads to.
public enum MappingTarget {
    case frame(FrameNumber)
    /// A watched page of DRAM (`watch`).
    case memory(MemoryPage)
    /// A page of device registers, by physical address: uncached.
    case device(PhysicalAddress)

    @inlinable public init(_ place: PageFrame) {
        if let page = place.memory {
            self = .memory(page)
        } else {
            self = .frame(place.nvmFrame)
        }
    }
}

/// Why a core came into the kernel. The interrupted thread's registers are in its context by then.
public enum KernelEvent {
    /// `syscall`: number and arguments are in the registers; `rip` is behind the instruction.
    case systemCall
    case pageFault(address: UInt64, isWrite: Bool, isExecute: Bool, errorCode: UInt64)
    /// Any other exception that user mode raised.
    case exception(vector: UInt64, errorCode: UInt64)
    /// This core's timer passed its deadline.
    case timer
    /// Another core asked this one to come in (`interruptCore`, `quiesceOtherCores`), or an unknown
    /// interrupt.
    case interrupt
    /// A device line raised its interrupt. The machine has masked the line.
    case deviceInterrupt(line: UInt8)
}

/// What the kernel needs from the hardware. Called with the kernel's big lock held, on the core
/// named `core` where there is one.
///
/// The machine in turn, at each entry from user mode or from idle: saves the registers into the
/// running thread's context (`Kernel.context(core:)`; not the floating-point ones, see
/// `saveFloatingPoint`), says "this core is out of user mode", takes the big lock, calls
/// `Kernel.handle(_:core:)`, then loads what `Kernel.context` and `Kernel.translation(core:)` say
/// (nil context: idle, interrupts on), releases the lock and returns. While a core waits for the
/// lock with a `systemCall`, the saved `rip` points *at* the instruction (2 bytes back), and is
/// moved behind it once the lock is held: a checkpoint that another core takes meanwhile then
/// contains a call not yet made, not one lost. The kernel itself runs with interrupts off, on one
/// stack per core.
public protocol Machine {
    associatedtype Memory: PersistentMemory
    /// The NVM region.
    var nvm: Memory { get }
    var coreCount: Int { get }

    // MARK: Time
    /// Nanoseconds since this machine started. Never goes backward, on any core.
    func monotonicNanoseconds() -> UInt64
    /// Wall clock, nanoseconds since 1970.
    func wallClockNanoseconds() -> UInt64
    /// Arms this core's one-shot timer for a machine time; `UInt64.max` disarms it.
    mutating func setTimer(core: Int, at deadlineNanoseconds: UInt64)

    // MARK: Cores
    /// Makes another core enter the kernel soon (it may be idle).
    mutating func interruptCore(_ core: Int)
    /// Returns when every other core is out of user mode with its registers saved. They cannot go
    /// back before the big lock is released. Their threads' FXSAVE areas are saved too, whatever
    /// brought those cores in.
    mutating func quiesceOtherCores(from core: Int)
    /// Saves the calling core's floating-point registers into a context (FXSAVE). The kernel calls
    /// it when a thread leaves its core; the entry code never has to.
    func saveFloatingPoint(_ context: UnsafeMutablePointer<ThreadContext>)
    /// Loads the calling core's floating-point registers (FXRSTOR): when a thread comes to a core.
    func loadFloatingPoint(_ context: UnsafeMutablePointer<ThreadContext>)

    // MARK: Translations
    /// An empty translation; nil when there is no memory for one.
    mutating func makeTranslation() -> Translation?
    /// Gives a translation's memory back. No core may be using it (the kernel quiesces first if one
    /// might).
    mutating func dropTranslation(_ translation: Translation)
    /// Maps one page. A mapping to memory is never tracked: the processor notes that it was written
    /// (`collectDirty`). `tracked` entries that are writable become read-only at the next
    /// `revokeWrites`. A remote core may go on with a *less* permissive entry for the same frame
    /// and fault once more. Returns false when the list of writable entries (that of frames, or that
    /// of memory) or the memory is full: checkpoint, or drop, and try again.
    mutating func install(
        _ translation: Translation, address: UserAddress, target: MappingTarget,
        protection: Protection, tracked: Bool
    ) -> Bool
    /// Removes the entries of a page range on every core before it returns (quiescing cores that
    /// run in it).
    mutating func remove(
        _ translation: Translation, from address: UserAddress, pages: UInt64, core: Int)
    /// The frame mapped at a page and whether it may be written, if there is an entry to a frame or
    /// a watched page.
    func lookUp(_ translation: Translation, address: UserAddress) -> (
        frame: PageFrame, writable: Bool
    )?
    /// Says which pages of DRAM mappings may lead to from now on. Called once, before the first
    /// of them is mapped; never when there are none.
    mutating func watch(_ pages: WatchedPages)
    /// Sets the bit of each watched page that was written through a mapping since this was last
    /// called. Mappings stay writable and count as clean again; each core sees it before it runs
    /// user code again. Called with the other cores quiesced, before `revokeWrites`. What a mapping
    /// knew when it was removed, replaced or forgotten is in the bits already.
    mutating func collectDirty()
    /// Makes every tracked writable entry read-only again, in all translations; each core sees it
    /// before it runs user code again. Called with the other cores quiesced.
    mutating func revokeWrites()

    // MARK: Outside
    /// Tells the outside that a published ring pointer moved.
    func ringDoorbell()
    /// Device lines that can interrupt: 0 up to, but not including, this.
    var deviceLineCount: UInt64 { get }
    /// Lets a device line interrupt again.
    mutating func unmask(line: UInt8)
    /// Whether a physical range holds registers of devices, and nothing that the kernel relies on:
    /// no memory, no interrupt controller.
    func isDeviceMemory(_ physical: PhysicalAddress, byteCount: UInt64) -> Bool
    /// One byte to the debug port.
    func debugWrite(_ byte: UInt8)
    /// Ends the machine, because going on could damage the store. The message was put in the
    /// statistics page. Bare metal does not return; a simulation notes it, and the kernel does
    /// nothing any more.
    mutating func halt()
}

extension Machine {
    /// The PC's old interrupt lines, which the MADT leads to the I/O APIC (ACPI 6.4, 5.2.12.5).
    public var deviceLineCount: UInt64 { 16 }
}
