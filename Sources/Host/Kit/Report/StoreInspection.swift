import ABI
import Store
import SystemPackage

/// `store info` and `store check`: the store's own code over the mapped file, while no machine
/// runs.
public enum StoreInspection {
    /// Identity and the newest committed version, a line each.
    public static func info(_ directory: StoreDirectory) throws(HostError) -> String {
        let manifest = try Manifest.load(directory)
        let lock = try quiet(directory)
        defer { extendLifetime(lock) }
        let store = try open(directory)
        defer { store.close() }
        let identity = store.identity
        var lines = [
            "command       \(manifest.command.map(quoted).joined(separator: " "))",
            "created       \(manifest.created)",
            "uuid          \(hexadecimal(identity.uuidHigh))\(hexadecimal(identity.uuidLow))",
            "format        \(StoreLayout.formatVersion)",
            "domain        \(identity.domain.name): \(identity.domain.survives)",
            "frames        \(identity.frameCount) (\(store.layout.dataFrames) for data, \(store.layout.imageFrames) of the image)",
            "version       \(store.committed.value)",
            "restores      \(store.history.incarnation)",
            "promised      \(store.promised) frames",
        ]
        if store.usedSpareCopy {
            lines.append("note          a spare copy was used; `evertree store check` says of what")
        }
        if let status = manifest.exitStatus { lines.append("exit status   \(status)") }
        return lines.joined(separator: "\n")
    }

    /// Verifies everything that the committed version consists of.
    public static func check(_ directory: StoreDirectory) throws(HostError) -> CheckResult {
        _ = try Manifest.load(directory)
        let lock = try quiet(directory)
        defer { extendLifetime(lock) }
        let memory = MappedMemory(try MappedFile(directory.nvm, writable: false))
        let report = StoreChecker.check(memory)
        var damage = report.damage.map(\.text)
        if report.damageCount > damage.count {
            damage.append("and \(report.damageCount - damage.count) more")
        }
        return CheckResult(
            damage: damage, notes: report.notes.map(\.text),
            summary: "version \(report.commit.version.value): \(report.pages) pages, "
                + "\(report.framesUsed) of \(report.dataFrames) frames used")
    }

    /// What a check found.
    public struct CheckResult: Equatable {
        /// What is wrong, a line each.
        public var damage: [String]
        /// What a power cut may leave, and the next restore repairs.
        public var notes: [String]
        public var summary: String
    }

    /// Takes the lock, so that nothing changes meanwhile.
    private static func quiet(_ directory: StoreDirectory) throws(HostError) -> StoreLock {
        guard let lock = try StoreLock(directory.machineLock, holder: "evertree store") else {
            throw .storeBusy(
                path: directory.name, holder: directory.user(of: directory.machineLock))
        }
        return lock
    }

    private static func open(_ directory: StoreDirectory) throws(HostError) -> Store<MappedMemory> {
        do {
            return try Store(reading: MappedMemory(try MappedFile(directory.nvm, writable: false)))
        } catch let error as StoreError {
            throw .storeDamaged(path: directory.name, reason: "\(error.reason)")
        } catch let error as HostError {
            throw error
        } catch { throw .storeDamaged(path: directory.name, reason: "\(error)") }
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
