import Testing

@testable import LinuxServer

/// A repeatable source of random numbers (SplitMix64).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &self) }
    mutating func chance(_ percent: Int) -> Bool { below(100) < percent }
    mutating func pick<Element>(_ choices: [Element]) -> Element { choices[below(choices.count)] }
}

/// A file system on byte arrays, with a superuser and an ordinary user.
struct Bench {
    let fileSystem: FileSystem
    let information: ProcessInformation
    var superuser: Caller
    var user: Caller

    init(information: ProcessInformation = ProcessInformation(), defaults: Bool = false) {
        self.information = information
        fileSystem = FileSystem(
            makeContents: { ByteArrayContents() }, process: information,
            now: Timestamp(seconds: 1000))
        let root = fileSystem.root
        superuser = Caller(root: root, workingDirectory: root, umask: 0o022)
        user = Caller(
            credentials: Credentials(user: 1000, group: 100, groups: [200]), root: root,
            workingDirectory: root,
            umask: 0o022)
        if defaults { fileSystem.populateDefaults() }
    }
}

/// The errno of an operation; nil when it succeeded.
func errno(_ body: () throws(Errno) -> Void) -> Errno? {
    do throws(Errno) {
        try body()
        return nil
    } catch {
        return error
    }
}

extension Errno: CustomTestStringConvertible {
    public var testDescription: String { "errno \(rawValue)" }
}

func bytes(_ text: String) -> Bytes { Bytes(text.utf8) }
func text(_ bytes: Bytes) -> String { String(decoding: bytes, as: UTF8.self) }

/// Reads `struct linux_dirent64` records: independent of the encoder that is tested with it.
func decodeEntries(_ bytes: Bytes.SubSequence) -> [(
    name: String, inode: UInt64, next: UInt64, kind: UInt8
)] {
    var entries: [(name: String, inode: UInt64, next: UInt64, kind: UInt8)] = []
    var rest = bytes
    while rest.count >= 19 {
        let start = rest.startIndex
        func number(_ offset: Int, _ count: Int) -> UInt64 {
            (0..<count).reversed().reduce(0) { $0 << 8 | UInt64(rest[start + offset + $1]) }
        }
        let name = rest[(start + 19)...].prefix { $0 != 0 }
        entries.append(
            (String(decoding: name, as: UTF8.self), number(0, 8), number(8, 8), rest[start + 18]))
        rest = rest.dropFirst(max(Int(number(16, 2)), 24))
    }
    return entries
}

/// Short forms for tests: texts instead of bytes, the superuser unless another caller is named.
extension Bench {
    func makeDirectory(_ path: String, mode: UInt32 = 0o755, _ caller: Caller? = nil) throws(Errno)
    {
        try fileSystem.makeDirectory(bytes(path), at: nil, mode: mode, caller ?? superuser)
    }

    func makeFile(
        _ path: String, _ content: String = "", mode: UInt32 = 0o644, _ caller: Caller? = nil
    ) throws(Errno) {
        let inode = try open(
            path, OpenFlags.create | OpenFlags.exclusive | OpenFlags.readWrite, mode: mode, caller)
        try inode.contents?.writeBytes(bytes(content), offset: 0)
        fileSystem.release(inode)
    }

    func makeLink(_ path: String, to target: String) throws(Errno) {
        try fileSystem.makeSymbolicLink(target: bytes(target), bytes(path), at: nil, superuser)
    }

    func open(_ path: String, _ flags: UInt32, mode: UInt32 = 0, _ caller: Caller? = nil)
        throws(Errno) -> Inode
    {
        try fileSystem.open(bytes(path), at: nil, flags: flags, mode: mode, caller ?? superuser)
            .inode
    }

    func find(
        _ path: String, _ flags: ResolveFlags = .followFinal, _ caller: Caller? = nil
    ) throws(Errno) -> Inode {
        guard
            let inode = try fileSystem.resolve(
                bytes(path), at: nil, flags: flags, caller ?? superuser
            ).inode
        else {
            throw .ENOENT
        }
        return inode
    }

    func unlink(_ path: String, _ caller: Caller? = nil) throws(Errno) {
        try fileSystem.unlink(bytes(path), at: nil, caller ?? superuser)
    }

    func removeDirectory(_ path: String, _ caller: Caller? = nil) throws(Errno) {
        try fileSystem.removeDirectory(bytes(path), at: nil, caller ?? superuser)
    }

    func rename(_ old: String, _ new: String, flags: UInt32 = 0, _ caller: Caller? = nil)
        throws(Errno)
    {
        try fileSystem.rename(
            bytes(old), oldAt: nil, bytes(new), newAt: nil, flags: flags, caller ?? superuser)
    }

    /// Content of a file, of /proc too.
    func content(_ path: String, _ caller: Caller? = nil) throws(Errno) -> String {
        let inode = try find(path, .followFinal, caller)
        if let generated = inode.generated { return text(try generated.text(caller ?? superuser)) }
        return text(try inode.contents?.readBytes(offset: 0, count: 1 << 20) ?? [])
    }

    func names(_ path: String, from cookie: UInt64 = 0, _ caller: Caller? = nil) throws(Errno)
        -> [String]
    {
        var names: [String] = []
        try fileSystem.readDirectory(try find(path), from: cookie, caller ?? superuser) {
            names.append(text($0.name))
            return true
        }
        return names
    }
}
