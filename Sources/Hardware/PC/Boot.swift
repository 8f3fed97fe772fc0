import ABI
import ACPI
import CMachinePC
import Kernel
import Machine
import Runtime
import Store

/// From the boot code to the first thread. Each step needs the ones before it; there is no way
/// back.
enum Boot {
    /// Of the free DRAM, one part in this many goes to translations, and one to the list of
    /// writable entries.
    private static let translationShare: UInt64 = 8
    private static let writableShare: UInt64 = 256
    private static let maximumHotPages: UInt64 = 1 << 16

    static func start(_ info: StartInfo) -> Never {
        let platform = readPlatform(info)
        guard CoreSetup.processorIsUsable else { fail("the processor lacks SMEP or SMAP") }
        guard var memory = BootPages(info) else {
            fail("no free piece of 16 MiB of memory below 4 GiB")
        }
        guard let tables = KernelTables.build(info: info, platform: platform, pages: &memory) else {
            fail("no memory for the kernel's page tables, or NVM above 512 GiB")
        }
        KernelHost.kernelRoot = tables.root
        KernelHost.localAPICAddress = platform.localAPIC
        CoreSetup.fillInterruptTable()
        let localAPIC = LocalAPIC(physical: platform.localAPIC)
        pc_set_end_of_interrupt(localAPIC.endOfInterruptAddress)
        CoreSetup.prepare(number: 0, identity: 0)
        CoreSetup.activate(Cores.area(0), kernelRoot: tables.root)
        Cores.area(0).pointee.apic_id = localAPIC.identity
        LegacyInterrupts.disable()
        localAPIC.enable()
        let machine = makeMachine(info, platform, localAPIC, &memory)
        startKernel(machine, info)
    }

    private static func readPlatform(_ info: StartInfo) -> Platform {
        do throws(PlatformError) {
            return try PlatformParser(reader: BootMemory()).parse(rootPointer: info.rootPointer)
        } catch {
            fail(error.message)
        }
    }

    /// Divides the free memory, starts the heap, calibrates time and starts the other cores.
    private static func makeMachine(
        _ info: StartInfo, _ platform: Platform, _ localAPIC: LocalAPIC, _ memory: inout BootPages
    ) -> PC {
        let listBytes = memory.byteCount / writableShare
        let poolBytes = memory.byteCount / translationShare & ~(pageSize - 1)
        guard let list = memory.take(bytes: listBytes), let pool = memory.take(bytes: poolBytes)
        else {
            fail("no memory for translations")
        }
        let heapBytes = memory.byteCount
        guard let heap = memory.take(bytes: heapBytes),
            ProgramHeap.start(at: UInt(Window.address(heap)), byteCount: UInt(heapBytes))
        else { fail("no memory for the kernel's heap") }
        let clock = Clock(platform: platform, localAPIC: localAPIC)
        // Held until the kernel has booted: the other cores wait for it.
        KernelHost.lock(Cores.area(0))
        let count = SecondaryCores.start(platform, localAPIC: localAPIC, clock: clock)
        KernelHost.coreCount = count
        let ioAPIC = IOAPIC(platform, target: localAPIC.identity)
        SerialPort.doorbell.initialize(interrupts: true)
        let nvm = StoreSetup.open(
            platform, mayFormat: info.options.contains("format"), clock: clock)
        return PC(
            PC.State(
                nvm: nvm, coreCount: count, clock: clock, localAPIC: localAPIC, ioAPIC: ioAPIC,
                deviceStart: deviceStart(info), controllers: (platform.localAPIC, platform.ioAPIC),
                kernelRoot: KernelHost.kernelRoot,
                pages: PagePool(start: pool, byteCount: poolBytes),
                writable: WritableList(
                    storage: Window.words(Window.address(list)), capacity: Int(listBytes / 16))))
    }

    /// Behind the last usable memory below 4 GiB; what the firmware keeps for itself lies in the
    /// same 16 MiB.
    private static func deviceStart(_ info: StartInfo) -> UInt64 {
        var end: UInt64 = 0
        info.forEachMemoryRange { range in
            if range.start < 1 << 32 { end = max(end, min(range.end, 1 << 32)) }
        }
        let unit: UInt64 = 16 << 20
        return (end + unit - 1) / unit * unit
    }

    private static func startKernel(_ machine: PC, _ info: StartInfo) -> Never {
        var options = KernelOptions()
        if let interval = info.options.duration("interval") {
            options.intervalNanoseconds = interval
        }
        if let pages = info.options.number("hot-pages") {
            if pages > maximumHotPages { fail("more than 65536 hot pages") }
            options.hotPages = Int(pages)
        }
        let kernel = UnsafeMutablePointer<Kernel<PC>>.allocate(capacity: 1)
        do throws(StoreError) {
            kernel.initialize(to: try Kernel(machine: machine, options: options))
        } catch {
            StoreSetup.refuse(error)
        }
        KernelHost.kernel = kernel
        if info.options.contains("panic-test") { PanicTest.run() }
        let bundle = UnsafeRawBufferPointer(
            start: Window.words(Window.address(info.bundle.start)),
            count: Int(info.bundle.byteCount))
        guard kernel.pointee.boot(bundle: bundle) else { Shutdown.now() }
        kernel.pointee.handle(.interrupt, core: 0)
        pc_leave(KernelEntry.leave(Cores.area(0), kernel: kernel))
    }

    /// A cause that is not a defect of the kernel: no backtrace.
    static func fail(_ message: StaticString) -> Never {
        DebugText.write("evertree: cannot start: ")
        DebugText.write(message)
        DebugText.write("\n")
        Shutdown.now()
    }
}

/// The first Swift code, on the first page tables.
@main
enum Image {
    static func main() {
        SerialPort.debug.initialize(interrupts: false)
        guard let info = StartInfo(at: pc_start_info) else { Boot.fail("no PVH start information") }
        Boot.start(info)
    }
}

/// `panic-test` on the command line: a defect on purpose, to see that a panic names its place.
enum PanicTest {
    @inline(never)
    static func run() { overflow(by: UInt8(truncatingIfNeeded: pc_read_tsc())) }

    @inline(never)
    private static func overflow(by amount: UInt8) {
        let sum = UInt8.max - amount + amount + 1
        DebugText.write(UInt64(sum))
    }
}
