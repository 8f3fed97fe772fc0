import CHostCalls
import Glibc

/// A new empty root directory on the host's tmpfs, and a thread that lives in it.
enum HostRoot {
    static let umask: UInt32 = 0o022

    /// What the host did not allow.
    enum Refused: Error { case directory, root, thread }

    /// chroot(2) and setfsuid(2) are the superuser's; a container may refuse them even to it.
    static let isPossible = geteuid() == 0 && (try? enter { true }) == true

    /// Whether the host lets an ordinary user link only files that it may write, as we do.
    static let protectsLinks = setting("hardlinks") == "1"
    /// Whether the host has further rules for sticky directories, which we have not.
    static let hasStickyRules = ["symlinks", "regular", "fifos"].contains { setting($0) != "0" }

    private static func setting(_ name: String) -> String? {
        let descriptor = open("/proc/sys/fs/protected_" + name, O_RDONLY)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var digit: UInt8 = 0
        return read(descriptor, &digit, 1) == 1 ? String(UnicodeScalar(digit)) : nil
    }

    /// Runs `body` with the new directory as its root, and removes the directory.
    static func enter<Value>(_ body: @escaping () throws -> Value) throws -> Value {
        let base = try make()
        defer { _ = host_remove_tree(base) }
        return try inThread {
            guard host_enter_root(base, umask) == 0 else { throw Refused.root }
            return try body()
        }
    }

    /// A new directory on tmpfs, open to everyone.
    private static func make() throws -> String {
        let pattern = "/dev/shm/evertree-fs-" + String(repeating: "X", count: 6)
        var template = Array(pattern.utf8CString)
        let made = template.withUnsafeMutableBufferPointer {
            $0.baseAddress.map { mkdtemp($0) != nil } ?? false
        }
        guard made else { throw Refused.directory }
        let path = String(
            decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        chmod(path, 0o777)
        return path
    }

    /// Runs in a thread of its own, because the root directory and the identity are a thread's.
    private static func inThread<Value>(_ body: @escaping () throws -> Value) throws -> Value {
        let box = ThreadBox(body)
        var thread = pthread_t()
        let argument = Unmanaged<AnyThreadBox>.passRetained(box).toOpaque()
        let status = pthread_create(
            &thread, nil,
            { raw in
                raw.map { Unmanaged<AnyThreadBox>.fromOpaque($0).takeRetainedValue().run() }
                return nil
            }, argument)
        guard status == 0 else { throw Refused.thread }
        pthread_join(thread, nil)
        guard let result = box.result else { throw Refused.thread }
        return try result.get()
    }
}

private class AnyThreadBox {
    func run() {}
}

private final class ThreadBox<Value>: AnyThreadBox {
    private let body: () throws -> Value
    private(set) var result: Result<Value, any Error>?

    init(_ body: @escaping () throws -> Value) { self.body = body }
    override func run() { result = Result { try body() } }
}
