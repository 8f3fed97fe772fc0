import ObjectCore

/// What `evertree object` does: looks at a space without the programs that made its objects.
public struct ObjectTool {
    public enum Command: Sendable {
        case list
        case stat(String)
        case check
        case dump(String)
        case export([String], to: String)
        case importing(String)
        case collect
    }

    /// A check found something.
    public struct Damaged: Error, CustomStringConvertible {
        let count: Int
        public var description: String { "\(count) damaged" }
    }

    let space: ObjectSpace
    let print: (String) -> Void

    /// Runs one command on a directory and hands each line of its answer to `print`. The space may
    /// be open elsewhere.
    public static func run(_ command: Command, path: String, print: @escaping (String) -> Void)
        throws
    {
        let creates = if case .importing = command { true } else { false }
        let space = try ObjectSpace(path: path, create: creates)
        defer { space.close() }
        let tool = ObjectTool(space: space, print: print)
        switch command {
        case .list: try tool.list()
        case .stat(let object): try tool.stat(try tool.identifier(object))
        case .check: try tool.check()
        case .dump(let object): try tool.dump(try tool.identifier(object))
        case .export(let roots, let file): print("\(try space.export(roots, to: file)) objects written")
        case .importing(let file):
            let (added, present) = try space.importArchive(file)
            print("\(added) objects added, \(present) were here")
        case .collect:
            let result = try space.collect()
            print(
                "\(result.reachable) objects reachable, \(result.removed) removed, "
                    + "\(result.entries) table entries given back")
        }
    }

    private func identifier(_ text: String) throws -> ObjectID {
        try ObjectID(text) ?? space.lookUp(text)
    }

    private func list() throws {
        try list("")
        for id in try space.identifiersOfAll() {
            do {
                let report = try space.check(id)
                let bytes = report.dataEnd - min(report.dataEnd, ObjectLayout.base)
                print("\(id) \(report.state) \(report.header.baseType), \(bytes) bytes")
            } catch { print("\(id) \(error)") }
        }
    }

    private func list(_ path: String) throws {
        for (name, entry) in try space.names(in: path) {
            let whole = path.isEmpty ? name : path + "/" + name
            print("\(entry.id) \(whole)\(entry.isNamespace ? "/" : "")")
            if entry.isNamespace { try list(whole) }
        }
    }

    private func stat(_ id: ObjectID) throws {
        let report = try space.check(id)
        let header = report.header
        print("object     \(id)")
        print("state      \(report.state), kept by \(report.ties) ties")
        print("flags      0x\(String(header.flags.rawValue, radix: 16))")
        print("key        \(header.key == .none ? "none" : "\(header.key)")")
        print("capacity   \(header.capacity) bytes")
        print("data       \(report.dataEnd - ObjectLayout.base) bytes, \(report.freeBytes) of them free")
        print(
            "root       \(header.baseType), \(header.baseBytes) bytes, layout 0x\(String(header.fingerprint, radix: 16))")
        print("table      \(report.entries.count) entries, \(report.spareEntries) spare")
        for (index, entry, name) in report.entries {
            let target = name.map { "name \"\($0)\" for resolver \(entry.second)" } ?? "\(entry.id)"
            let tie = entry.flags.contains(.tie) ? ", tie" : ""
            print("  \(index): \(target), \(entry.references) references\(tie)")
        }
    }

    private func check() throws {
        var (good, bad) = (0, 0)
        try space.checkAll { _, result in
            switch result {
            case .success: good += 1
            case .failure(let error):
                bad += 1
                print("\(error)")
            }
        }
        print("\(good) objects are whole")
        if bad > 0 { throw Damaged(count: bad) }
    }

    /// The data, 16 bytes a line, lines of zeros left out.
    private func dump(_ id: ObjectID) throws {
        try stat(id)
        for line in try space.dump(id) {
            let hex = line.bytes.map { ($0 < 16 ? "0" : "") + String($0, radix: 16) }
            let text = line.bytes.map { 32..<127 ~= $0 ? Character(Unicode.Scalar($0)) : "." }
            print("0x\(String(line.offset, radix: 16)) \(hex.joined(separator: " ")) \(String(text))")
        }
    }
}
