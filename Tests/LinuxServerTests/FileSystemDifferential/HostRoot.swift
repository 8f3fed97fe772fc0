import CHostCalls
import Glibc
import Testing

/// A new empty root directory on the host's tmpfs, and a thread that lives in it.
enum HostRoot {
    static let umask: UInt32 = 0o022
    /// chroot(2) and setfsuid(2) are the superuser's.
    static var isPossible: Bool { geteuid() == 0 }

    /// Runs `body` with the new directory as its root, and removes the directory.
    static func enter<Value>(_ body: @escaping () throws -> Value) throws -> Value {
        let base = try make()
        defer { _ = host_remove_tree(base) }
        return try inThread {
            try #require(host_enter_root(base, umask) == 0, "cannot enter \(base)")
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
        try #require(made, "no directory on /dev/shm")
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
        try #require(status == 0, "pthread_create")
        pthread_join(thread, nil)
        return try #require(box.result).get()
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
