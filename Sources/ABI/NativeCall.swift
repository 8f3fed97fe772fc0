/// The native system calls. Number in `rax`, arguments in `rdi rsi rdx r10 r8 r9`, result in `rax`:
/// a value of 0 or more, or a negated `NativeError`. `rcx` and `r11` are lost (the `syscall`
/// instruction).
///
/// Slots are indices into the caller's cap group. Addresses are in the caller's VM space.
/// "→ slot" means that the result is a new capability in the caller's cap group.
public enum NativeCall: UInt64, CaseIterable, Sendable {
    // MARK: Thread and time
    /// `null()` → 0. Does nothing: the cost of a call.
    case null = 0
    /// `yield()` → 0. Lets another thread run.
    case yield = 1
    /// `clockRead(which)` → ns. 0: monotonic, goes on where it stopped after a restore. 1: wall
    /// clock, since 1970. 2: number of restores so far. 3: the committed version.
    case clockRead = 2
    /// `threadCreate(capGroup, vmSpace, entry, stackPointer, argument)` → slot. Starts at once;
    /// argument in `rdi`. `vmSpace` needs `manage`, `capGroup` needs `manage`.
    case threadCreate = 3
    /// `threadExit()`. Does not return.
    case threadExit = 4
    /// `threadKick(thread)` → 0. Ends the thread's restricted mode, or its next entry of it. Needs
    /// `write`.
    case threadKick = 5
    /// `threadFPU(set, buffer)` → 0. Copies the caller's 512-byte FXSAVE area to (`set` = 0) or
    /// from (1) `buffer`. A restricted guest's floating-point state is its thread's. A loaded MXCSR
    /// loses its reserved bits.
    case threadFPU = 6
    /// `enterRestricted(vmSpace, state)` → `RestrictedExit`. Runs the `RestrictedState` at `state`
    /// in `vmSpace` (needs `manage`) until a system call, a fault or a kick, and writes the state
    /// back.
    case enterRestricted = 7

    // MARK: Memory
    /// `pmoCreate(pageCount)` → slot. An anonymous PMO, all rights.
    case pmoCreate = 10
    /// `pmoResize(pmo, pageCount)` → 0. Needs `manage`. Pages cut off are decommitted first by the
    /// caller or freed.
    case pmoResize = 11
    /// `pmoDecommit(pmo, firstPage, pageCount)` → pages dealt with (perhaps fewer: call again from
    /// there). The pages read as zeros afterwards. Needs `manage`.
    case pmoDecommit = 12
    /// `memoryCopy(destination, destinationOffset, source, sourceOffset, length)` → bytes copied
    /// (perhaps fewer). Each side is a PMO (offset in it; destination needs `write`, source `read`)
    /// or a VM space (an address; `write`, `read`, and the mapping's protection is *not* consulted
    /// for `manage` holders beyond being mapped readable or writable). Pages absent in both PMOs
    /// stay absent when the copied page is whole. At most 256 KiB a call. Errors: `badAddress` when
    /// not a single byte could be copied.
    case memoryCopy = 13
    /// `vmSpaceCreate()` → slot.
    case vmSpaceCreate = 14
    /// `map(vmSpace, address, length, pmo, pmoOffset, protection)` → 0. Page aligned; replaces what
    /// was mapped there. `vmSpace` needs `manage`; the PMO needs the rights that the protection
    /// names.
    case map = 15
    /// `unmap(vmSpace, address, length)` → 0. Ranges with no mapping are passed over.
    case unmap = 16
    /// `protect(vmSpace, address, length, protection)` → 0. Splits regions as needed. `notMapped`
    /// if there is a hole. The PMO rights seen at `map` time bound what may be asked.
    case protect = 17
    /// `deviceMemory(system, physicalAddress, pageCount)` → slot. A PMO over registers of a device,
    /// mapped uncached; `badArgument` where the machine has memory or an interrupt controller.
    /// Needs `system`.
    case deviceMemory = 18
    /// `ringCreate(system, number, pageCount)` → slot. An empty `Ring` in memory that is neither
    /// versioned nor rolled back, a header page and a power of two of data pages, up to 1,025 in all.
    /// The outside finds it by its number (0 to 63; even: the inside writes) once the version it is
    /// in is committed. Errors: `badArgument` when the number is taken, `noMemory` when there is no
    /// room. Needs `system`.
    case ringCreate = 19
    /// `pmoOfImage(image, firstPage, pageCount)` → slot. An anonymous PMO, all rights, that shows
    /// pages of the store's image until they are written or given back: nothing is copied before.
    /// `image` is the PMO in `RootSlot.image` and needs `read`. Errors: `badArgument` when it is
    /// another PMO, or does not have these pages.
    case pmoOfImage = 25

    // MARK: Notifications (counting semaphores)
    /// `notificationCreate()` → slot.
    case notificationCreate = 20
    /// `notificationSignal(notification)` → 0. Adds one; wakes one waiter. Needs `write`.
    case notificationSignal = 21
    /// `notificationWait(notification, deadline)` → 0. Takes one, waiting until `deadline`
    /// (monotonic ns, 2^64−1 = for ever; 0 = do not wait). Needs `read`. Errors: `timedOut`,
    /// `gone`. Also for IRQ notifications.
    case notificationWait = 22
    /// `irqAcknowledge(irqNotification)` → 0. Unmasks the line after its interrupt was dealt with.
    /// Needs `write`.
    case irqAcknowledge = 23
    /// `irqCreate(system, line)` → slot. Needs `system`.
    case irqCreate = 24

    // MARK: Capabilities
    /// `capabilityMint(slot, rights, badge)` → slot. A copy with at most these rights; badge 0
    /// keeps the badge, and a badge that is set stays. Needs `grant`.
    case capabilityMint = 30
    /// `capabilityGrant(capGroup, slot, rights)` → slot *in that group*. `capGroup` needs `manage`,
    /// the slot `grant`.
    case capabilityGrant = 31
    /// `capabilityRevoke(slot)` → 0. Deletes every capability derived from this one, in every cap
    /// group.
    case capabilityRevoke = 32
    /// `capabilityDelete(slot)` → 0. Empties the slot; what was derived from it now derives from
    /// its parent.
    case capabilityDelete = 33
    /// `capGroupCreate(name, nameLength, badge)` → slot. At most 31 bytes of name.
    case capGroupCreate = 34
    /// `capGroupKill(capGroup)` → 0. Ends its threads and empties its slots. Needs `manage`.
    case capGroupKill = 35
    /// `objectInfo(slot, buffer)` → 0. Writes four words: kind, rights, badge, detail (PMO: pages;
    /// notification: count).
    case objectInfo = 36

    // MARK: Connections (synchronous IPC)
    /// `connectionCreate(pmo)` → slot. `pmo` is shared memory for both sides, or 2^32−1 for none.
    /// Who holds the connection can get at it, so it needs `read`, `write` and `grant`.
    case connectionCreate = 40
    /// `connectionMemory(connection)` → slot of the shared PMO, derived from the capability that
    /// `connectionCreate` was given: a revoke there reaches it. Needs `call` or `read`. Errors:
    /// `noCapability` when that one is gone.
    case connectionMemory = 41
    /// `connectionCall(connection, message)` → 0. Sends the `Message`, waits for the reply, which
    /// overwrites it. Needs `call`. Capabilities that the message names are copied (each needs
    /// `grant`). Errors: `gone`.
    case connectionCall = 42
    /// `connectionReceive(connection, message, deadline)` → 0. Waits for a caller. Needs `read`.
    /// The caller's badge is in the message.
    case connectionReceive = 43
    /// `connectionReply(connection, message)` → 0. Answers the caller received last. Needs `read`.
    /// Errors: `noCaller`.
    case connectionReply = 44

    // MARK: System
    /// `checkpoint(system)` → the version that was committed with all that the caller did before.
    /// Needs `system`.
    case checkpoint = 50
    /// `debugWrite(system, text, length)` → 0. At most 256 bytes to the debug port, at once: not
    /// held back. Needs `system`.
    case debugWrite = 51
}

/// A message of a connection: eight words and up to eight capabilities. 144 bytes.
public enum Message {
    public static let wordCount = 8
    public static let capabilityCount = 8
    /// Byte offsets: words at 0, number of capabilities (u64) at 64, slots (u64 each) at 72, badge
    /// at 136.
    public static let countOffset: UInt64 = 64
    public static let slotsOffset: UInt64 = 72
    public static let badgeOffset: UInt64 = 136
    public static let byteCount: UInt64 = 144
}

/// The capabilities that the first process finds in its cap group, and the register it starts with:
/// `rdi` = byte length of the boot bundle, `rsi` = 1 on the very first start.
public enum RootSlot {
    public static let capGroup = Slot(0)
    public static let vmSpace = Slot(1)
    public static let thread = Slot(2)
    /// The boot bundle (`Bundle`), an anonymous PMO.
    public static let bundle = Slot(3)
    /// Eternal PMO: the console's output ring (`Ring`).
    public static let outputRing = Slot(4)
    /// Eternal PMO: the console's input ring.
    public static let inputRing = Slot(5)
    /// IRQ notification: the outside moved a ring pointer.
    public static let doorbell = Slot(6)
    /// System object: checkpoint, debug output, interrupt lines.
    public static let system = Slot(7)
    /// Eternal PMO, one page: counters of Linux system calls that are not implemented
    /// (`ServerStatistics`).
    public static let serverStatistics = Slot(8)
    /// Eternal PMO: the store's image, to be read and never written. Empty when the store was made
    /// without one.
    public static let image = Slot(9)
    /// First slot that is empty at the start.
    public static let firstFree: UInt32 = 10
}
