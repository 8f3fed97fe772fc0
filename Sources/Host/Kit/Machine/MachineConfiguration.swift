import SystemPackage

/// What QEMU runs a guest with.
public enum Accelerator: String, Sendable {
    case tcg, kvm
}

/// One virtual machine over a store directory.
public struct MachineConfiguration: Sendable {
    public var kernel: FilePath
    public var accelerator: Accelerator
    public var cpus: Int
    public var memoryBytes: UInt64
    public var nvmBytes: UInt64
    public var interval: CheckpointInterval
    /// The boot bundle is passed only while nothing was committed.
    public var withBundle: Bool
    /// More words for the kernel's command line.
    public var kernelArguments: [String]

    public init(
        kernel: FilePath, accelerator: Accelerator, manifest: Manifest,
        interval: CheckpointInterval, withBundle: Bool,
        kernelArguments: [String] = []
    ) {
        self.kernel = kernel
        self.accelerator = accelerator
        cpus = manifest.cpus
        memoryBytes = manifest.memoryBytes
        nvmBytes = manifest.nvmBytes
        self.interval = interval
        self.withBundle = withBundle
        self.kernelArguments = kernelArguments
    }

    /// QEMU's arguments. Paths inside the store are relative: the process starts in the store's
    /// directory, so their length and characters do not matter (QEMU takes a comma as the end of an
    /// option).
    public var arguments: [String] {
        let memory = memoryBytes >> 20
        let maximum = memory + (nvmBytes >> 20) + 1024
        var list = ["-machine", "q35,nvdimm=on"]
        list += accelerator == .kvm ? ["-accel", "kvm", "-cpu", "host"] : tcg
        list += [
            "-smp", "\(cpus)",
            "-m", "\(memory)M,slots=1,maxmem=\(maximum)M",
            "-object", "memory-backend-file,id=nvm,share=on,mem-path=nvm.img,size=\(nvmBytes)",
            "-device", "nvdimm,id=nvdimm0,memdev=nvm",
            "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
            "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
            "-chardev", "file,id=debug,path=serial.log,append=on",
            "-serial", "chardev:debug",
            "-chardev", "socket,id=doorbell,path=\(StoreDirectory.doorbellName),server=on,wait=off",
            "-serial", "chardev:doorbell",
            "-kernel", kernel.string.doublingCommas,
        ]
        if withBundle { list += ["-initrd", "bundle.cpio"] }
        return list + ["-append", commandLine]
    }

    /// Multi-threaded translation; `rep movsb` off, since its emulation copies 9–12 times slower
    /// than the other ways.
    private var tcg: [String] { ["-accel", "tcg,thread=multi", "-cpu", "max,-erms"] }

    /// The kernel's command line.
    public var commandLine: String {
        (["interval=\(interval.text)"] + kernelArguments).joined(separator: " ")
    }
}

extension String {
    fileprivate var doublingCommas: String {
        split(separator: ",", omittingEmptySubsequences: false).joined(separator: ",,")
    }
}
