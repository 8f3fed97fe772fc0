import CHostKit
import Glibc
import Logging
import Subprocess
import SystemPackage

/// Chooses between KVM and TCG.
///
/// A `/dev/kvm` that opens may still not run an ordinary guest (some cloud sandboxes), so a guest
/// of a few hundred bytes is run once under it, for at most three seconds: long mode, paging, a
/// thousand system calls. The answer is kept until the host boots again.
public struct AcceleratorProbe: Sendable {
    let emulator: FilePath
    let cache: FilePath
    let device: FilePath
    let limitMilliseconds: Int

    /// `cache` is the file that keeps the answer.
    public init(
        emulator: FilePath, cache: FilePath = AcceleratorProbe.standardCache,
        device: FilePath = "/dev/kvm",
        limitMilliseconds: Int = 3000
    ) {
        self.emulator = emulator
        self.cache = cache
        self.device = device
        self.limitMilliseconds = limitMilliseconds
    }

    /// `$XDG_CACHE_HOME/evertree/accelerator`, or under `~/.cache`.
    public static var standardCache: FilePath {
        let variable = { (name: String) in
            getenv(name).map { String(cString: $0) }.flatMap { $0.isEmpty ? nil : $0 }
        }
        let base = variable("XDG_CACHE_HOME") ?? (variable("HOME") ?? "/tmp") + "/.cache"
        return FilePath(base).appending("evertree").appending("accelerator")
    }

    /// What to use for `auto`; says so in one line when KVM was tried and does not do.
    public func choose(log: Logger) -> Accelerator {
        guard access(device.string, R_OK | W_OK) == 0 else { return .tcg }
        if let known = cached { return known }
        let works = probe()
        remember(works ? .kvm : .tcg)
        if !works {
            log.notice(
                "\(device) does not run a 64-bit guest here; using QEMU's own translation (TCG)")
        }
        return works ? .kvm : .tcg
    }

    private var cached: Accelerator? {
        guard let bytes = try? Files.read(cache, limit: 256) else { return nil }
        let fields = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard fields.count == 2, fields[0] == ProcessIdentity.currentBoot else { return nil }
        return Accelerator(rawValue: String(fields[1]))
    }

    private func remember(_ answer: Accelerator) {
        let directory = cache.removingLastComponent()
        mkdir(directory.removingLastComponent().string, 0o700)
        mkdir(directory.string, 0o700)
        try? Files.replace(
            cache, with: Array("\(ProcessIdentity.currentBoot) \(answer.rawValue)\n".utf8))
    }

    /// Runs the guest. True when it ended as it should within the limit.
    func probe() -> Bool {
        var template = Array(
            ("/tmp/evertree-probe-" + String(repeating: "X", count: 6)).utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else { return false }
        let image = FilePath(
            String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self))
        defer { unlink(image.string) }
        let descriptor = FileDescriptor(rawValue: file)
        defer { try? descriptor.close() }
        guard (try? Files.writeAll(AcceleratorProbe.firmware, to: descriptor, path: image)) != nil
        else { return false }
        return runs(image)
    }

    private func runs(_ image: FilePath) -> Bool {
        let emulator = emulator
        let limit = limitMilliseconds
        let arguments = [
            "-machine", "q35", "-accel", "kvm", "-cpu", "host", "-m", "16", "-nodefaults",
            "-no-user-config",
            "-display", "none", "-no-reboot", "-bios", image.string,
            "-device", "isa-debug-exit,iobase=0xf4,iosize=0x04",
        ]
        let status = try? Blocking.run {
            try await Subprocess.run(
                .path(emulator), arguments: Arguments(arguments), input: .none, output: .discarded,
                error: .discarded
            ) { execution in
                let process = execution.processIdentifier.value
                let timer = Task {
                    try await Task.sleep(for: .milliseconds(limit))
                    Glibc.kill(process, SIGKILL)
                }
                while !Task.isCancelled, ProcessIdentity(of: process) != nil {
                    try await Task.sleep(for: .milliseconds(5))
                }
                timer.cancel()
            }.terminationStatus
        }
        if case .exited(let code) = status { return code == AcceleratorProbe.successStatus }
        return false
    }

    /// The guest writes 21 to the debug-exit port; QEMU ends with twice that plus one.
    static let successStatus: Int32 = 43

    /// The guest at the start of 64 KiB, and a jump to it where the processor starts.
    static var firmware: [UInt8] {
        let size = 65536
        let reset = 0xFFF0
        var image = [UInt8](repeating: 0xF4, count: size)
        let guest = UnsafeRawBufferPointer(
            start: hostkit_probe_guest(), count: Int(hostkit_probe_guest_size()))
        image.replaceSubrange(0..<guest.count, with: guest)
        let distance = UInt16(truncatingIfNeeded: -(reset + 3))
        image.replaceSubrange(
            reset..<(reset + 3), with: [0xE9, UInt8(distance & 0xFF), UInt8(distance >> 8)])
        return image
    }
}
