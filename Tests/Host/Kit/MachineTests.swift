import Glibc
import Logging
import SystemPackage
import Testing

@testable import HostKit

/// Sizes, intervals, QEMU's command line and the accelerator probe.
struct MachineTests {
    @Test(arguments: [
        ("4096", 4096), ("64K", 65536), ("512M", 512 << 20), ("1G", 1 << 30), ("2GiB", 2 << 30),
        ("0", 0),
    ])
    func sizes(text: String, bytes: Int) { #expect(ByteSize(text)?.bytes == UInt64(bytes)) }

    @Test(arguments: [
        "", "M", "-1", "1.5G", "1X", "99999999999999999999", "18446744073709551615K", "１M",
    ])
    func wrongSizes(text: String) { #expect(ByteSize(text) == nil) }

    @Test(arguments: [
        ("1ms", "1ms"), ("off", "off"), ("500us", "500us"), ("2s", "2000ms"), ("1000us", "1ms"),
    ])
    func intervals(text: String, canonical: String) {
        #expect(CheckpointInterval(text)?.text == canonical)
    }

    @Test(arguments: [
        "", "1", "ms", "0ms", "9us", "2h", "-1ms", "on", "99999999999999999999s", "3601s",
    ])
    func wrongIntervals(text: String) { #expect(CheckpointInterval(text) == nil) }

    private var manifest: Manifest {
        Manifest(
            command: ["x"], cpus: 3, memoryBytes: 256 << 20, nvmBytes: 1 << 30, interval: "1ms",
            accelerator: "auto",
            created: "")
    }

    @Test func theCommandLineNamesWhatWasAskedFor() {
        let configuration = MachineConfiguration(
            kernel: "/a,b/kernel", accelerator: .tcg, manifest: manifest, interval: .off,
            withBundle: true,
            kernelArguments: ["x=1"])
        let line = configuration.arguments.joined(separator: " ")
        #expect(line.contains("-smp 3"))
        #expect(line.contains("-kernel /a,,b/kernel"))
        #expect(line.contains("-initrd bundle.cpio"))
        #expect(line.contains("mem-path=nvm.img,size=1073741824"))
        #expect(line.hasSuffix("-append interval=off x=1"))
        #expect(line.contains("-cpu max,-erms"))
        var later = configuration
        later.withBundle = false
        #expect(!later.arguments.contains("-initrd"))
    }

    /// A probe whose emulator is a script; it runs whatever the device is.
    private func probe(_ scratch: Scratch, _ script: String, limit: Int = 3000) throws
        -> AcceleratorProbe
    {
        let emulator = try scratch.file("emulator", "#!/bin/sh\n\(script)\n", mode: 0o755)
        return AcceleratorProbe(
            emulator: emulator, cache: scratch.path.appending("cache/evertree/accelerator"),
            device: "/dev/null",
            limitMilliseconds: limit)
    }

    private func choice(_ probe: AcceleratorProbe) async throws -> Accelerator {
        try await onThread { probe.choose(log: quiet) }
    }

    @Test(arguments: [
        ("exit 43", true), ("exit 0", false), ("exit 1", false), ("kill -9 $$", false),
    ])
    func onlyTheGuestsOwnStatusCounts(script: String, works: Bool) async throws {
        let scratch = try Scratch()
        #expect(try await choice(probe(scratch, script)) == (works ? .kvm : .tcg))
    }

    @Test func aHangIsCutOff() async throws {
        let scratch = try Scratch()
        #expect(try await choice(probe(scratch, "exec sleep 1000", limit: 200)) == .tcg)
    }

    @Test func theAnswerIsRememberedUntilTheNextBoot() async throws {
        let scratch = try Scratch()
        #expect(try await choice(probe(scratch, "exit 43")) == .kvm)
        #expect(try await choice(probe(scratch, "exit 1")) == .kvm)
        try Files.replace(
            scratch.path.appending("cache/evertree/accelerator"),
            with: Array("other-boot kvm\n".utf8))
        #expect(try await choice(probe(scratch, "exit 1")) == .tcg)
    }

    @Test func withoutADeviceNothingIsTried() throws {
        let scratch = try Scratch()
        let probe = AcceleratorProbe(
            emulator: "/nonexistent", cache: scratch.path.appending("cache"),
            device: scratch.path.appending("kvm"))
        #expect(probe.choose(log: quiet) == .tcg)
    }

    @Test func theFirmwareJumpsFromTheResetVectorToTheGuest() {
        let image = AcceleratorProbe.firmware
        #expect(image.count == 65536)
        #expect(image[0] == 0xFA)  // cli
        let distance = UInt16(image[0xFFF1]) | UInt16(image[0xFFF2]) << 8
        #expect(image[0xFFF0] == 0xE9 && UInt16(0xFFF3) &+ distance == 0)
    }

    @Test func imagesAreSearchedInOrderAndNamedWhenMissing() throws {
        let scratch = try Scratch()
        let error = #expect(throws: HostError.self) {
            try InstalledFiles(candidates: [scratch.path])
        }
        #expect("\(error.map { "\($0)" } ?? "")".contains("make build"))
        _ = try scratch.file("kernel", "k")
        _ = try scratch.file("linux-server", "s")
        let files = try InstalledFiles(candidates: ["/nonexistent", scratch.path])
        #expect(files.kernel == scratch.path.appending("kernel"))
    }
}
