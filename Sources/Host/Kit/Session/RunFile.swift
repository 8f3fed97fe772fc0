import SystemPackage
import TOMLKit

/// A run's options in a file (TOML 1.0), named as the flags of `evertree run`; `command` is the
/// program with its arguments, `env` a table. Paths are as the flags take them: relative to the
/// working directory.
public struct RunFile: Codable, Equatable, Sendable {
    public var command: [String]?
    public var store: String?
    public var root: String?
    public var user: String?
    public var cwd: String?
    public var env: [String: String]?
    public var file: [String]?
    public var interval: String?
    public var domain: String?
    public var memory: String?
    public var nvm: String?
    public var cpus: Int?
    public var accel: String?
    public var detach: Bool?
    public var publish: [String]?
    public var restart: String?

    public init() {}

    enum CodingKeys: String, CodingKey, CaseIterable {
        case command, store, root, user, cwd, env, file, interval, domain, memory, nvm, cpus, accel
        case detach, publish, restart
    }

    /// Throws `usage` with what is wrong: the syntax, a name that is no option, a value of the wrong
    /// kind.
    public init(reading path: String) throws(HostError) {
        let text = String(decoding: try Files.read(FilePath(path), limit: 1 << 20), as: UTF8.self)
        let known = Set(CodingKeys.allCases.map(\.rawValue))
        do {
            let table = try TOMLTable(string: text)
            if let unknown = table.keys.filter({ !known.contains($0) }).sorted().first {
                throw HostError.usage("\(path): '\(unknown)' is no option of a run file")
            }
            self = try TOMLDecoder().decode(RunFile.self, from: table)
        } catch let error as HostError {
            throw error
        } catch let error as TOMLParseError {
            throw .usage("\(path): \(error)")
        } catch DecodingError.typeMismatch(_, let context) {
            throw RunFile.wrongKind(path, context.codingPath)
        } catch DecodingError.keyNotFound(let key, let context) {
            // How TOMLKit says it of a number or a truth value: no key is required here.
            throw RunFile.wrongKind(path, context.codingPath.isEmpty ? [key] : context.codingPath)
        } catch { throw .usage("\(path): \(error)") }
    }

    private static func wrongKind(_ path: String, _ keys: [any CodingKey]) -> HostError {
        let name = keys.map(\.stringValue).joined(separator: ".")
        return .usage("\(path): '\(name)' has a value of the wrong kind")
    }

    /// The environment as `KEY=VALUE`, by name.
    public var environment: [String] {
        (env ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
    }
}
