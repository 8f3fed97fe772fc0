import CHostKit
import Glibc
import SystemPackage

/// A process by number, start time and boot, so that a reused number is never taken for it.
public struct ProcessIdentity: Equatable, Sendable {
    public let process: pid_t
    /// Clock ticks since boot (proc(5), field 22 of `/proc/PID/stat`).
    public let startTicks: UInt64
    public let boot: String

    /// The identity of a process that is alive.
    public init?(of process: pid_t) {
        guard let ticks = ProcessIdentity.startTicks(process) else { return nil }
        self.process = process
        startTicks = ticks
        boot = ProcessIdentity.currentBoot
    }

    /// The identity written in a file.
    public init?(reading path: FilePath) {
        guard let bytes = try? Files.read(path, limit: 256) else { return nil }
        let fields = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isWhitespace)
        guard fields.count == 3, let process = pid_t(fields[0]), process > 1,
            let ticks = UInt64(fields[1])
        else {
            return nil
        }
        self.process = process
        startTicks = ticks
        boot = String(fields[2])
    }

    public func save(_ path: FilePath) throws(HostError) {
        try Files.replace(path, with: Array("\(process) \(startTicks) \(boot)\n".utf8))
    }

    /// Whether this very process still runs. A zombie does not.
    public var isAlive: Bool {
        boot == ProcessIdentity.currentBoot && ProcessIdentity.startTicks(process) == startTicks
    }

    /// Kills the process, if it is still the one meant, and waits until it is gone. False if it was
    /// gone already.
    @discardableResult
    public func kill(signal: Int32 = SIGKILL, waitMilliseconds: Int32 = 10_000) -> Bool {
        let descriptor = hostkit_process_descriptor(process)
        defer { if descriptor >= 0 { close(descriptor) } }
        guard isAlive, Glibc.kill(process, signal) == 0 else { return false }
        _ = ProcessIdentity.wait(descriptor, milliseconds: waitMilliseconds)
        return true
    }

    /// Waits for the end of the process; false when the time passed first.
    public func waitForEnd(milliseconds: Int32) -> Bool {
        let descriptor = hostkit_process_descriptor(process)
        defer { if descriptor >= 0 { close(descriptor) } }
        return !isAlive || ProcessIdentity.wait(descriptor, milliseconds: milliseconds)
    }

    private static func wait(_ descriptor: Int32, milliseconds: Int32) -> Bool {
        guard descriptor >= 0 else { return false }
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        return poll(&entry, 1, milliseconds) > 0
    }

    static var currentBoot: String {
        let bytes = (try? Files.read("/proc/sys/kernel/random/boot_id", limit: 64)) ?? []
        return String(decoding: bytes.prefix { $0 > 32 }, as: UTF8.self)
    }

    /// Nil when there is no such process or it is a zombie.
    private static func startTicks(_ process: pid_t) -> UInt64? {
        guard let bytes = try? Files.read(FilePath("/proc/\(process)/stat"), limit: 4096) else {
            return nil
        }
        // The name, in parentheses, may itself hold spaces and parentheses: count from the last
        // one.
        guard let end = bytes.lastIndex(of: UInt8(ascii: ")")) else { return nil }
        let fields = String(decoding: bytes[(end + 1)...], as: UTF8.self).split(separator: " ")
        guard fields.count > 19, fields[0] != "Z", fields[0] != "X" else { return nil }
        return UInt64(fields[19])
    }
}
