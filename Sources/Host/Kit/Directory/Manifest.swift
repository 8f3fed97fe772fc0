import FoundationEssentials
import SystemPackage

/// What was asked for when a run was made, and how it ended: `manifest.json`.
public struct Manifest: Codable, Equatable, Sendable {
    /// Layout of this file.
    public static let currentFormat = 1

    public var format = Manifest.currentFormat
    /// Program and arguments as given.
    public var command: [String]
    public var cpus: Int
    public var memoryBytes: UInt64
    public var nvmBytes: UInt64
    /// `1ms`, `off`.
    public var interval: String
    /// `auto`, `tcg` or `kvm`.
    public var accelerator: String
    /// Published ports, as `-p` takes them; absent: none.
    public var ports: [String]?
    /// `on-crash`; absent: never.
    public var restart: String?
    /// ISO 8601.
    public var created: String
    /// How the program ended: 0–255; absent while it goes on.
    public var exitStatus: Int32?

    public init(
        command: [String], cpus: Int, memoryBytes: UInt64, nvmBytes: UInt64, interval: String,
        accelerator: String,
        created: String
    ) {
        self.command = command
        self.cpus = cpus
        self.memoryBytes = memoryBytes
        self.nvmBytes = nvmBytes
        self.interval = interval
        self.accelerator = accelerator
        self.created = created
    }

    public static func load(_ directory: StoreDirectory) throws(HostError) -> Manifest {
        try directory.requireStore()
        let bytes = try Files.read(directory.manifest)
        let manifest: Manifest
        do {
            manifest = try JSONDecoder().decode(Manifest.self, from: Data(bytes))
        } catch {
            throw .notAStore(
                path: directory.name, reason: "manifest.json cannot be read (\(error))")
        }
        guard manifest.format == currentFormat else {
            throw .notAStore(
                path: directory.name,
                reason:
                    "manifest.json has format \(manifest.format), this command knows \(currentFormat)"
            )
        }
        return manifest
    }

    public func save(_ directory: StoreDirectory) throws(HostError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let data: Data
        do {
            data = try encoder.encode(self)
        } catch {
            throw .notAStore(
                path: directory.name, reason: "manifest.json cannot be encoded (\(error))")
        }
        try Files.replace(directory.manifest, with: Array(data) + [UInt8(ascii: "\n")])
    }
}
