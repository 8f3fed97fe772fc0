import ABI

@testable import LinuxServer

/// A Linux server that has booted, with a first process and two of its children, which the input
/// drives: one of the superuser in the foreground, one of another user in the background. Both have
/// descriptors of every kind.
final class LinuxScenery {
    let machine: LinuxMachine
    let server: Server
    /// The first process's native thread. Only the harness speaks for it. When the process has
    /// ended, the thread serves others.
    let first: LinuxThread
    var isFirstAlive: Bool { server.firstProcess.map { !$0.isZombie } ?? false }
    var canFirstCall: Bool { isFirstAlive && first.state == .guest }

    /// `terminals`: whether descriptors 0, 1 and 2 are a terminal, a digit each.
    init(terminals: String, ringPages: UInt64) {
        let bundle = LinuxScenery.bundle(terminals)
        machine = LinuxMachine(bundle: bundle, ringPages: ringPages)
        LinuxMachine.current = machine
        do throws(Errno) {
            try LinuxServerBoot.start(bundleLength: UInt64(bundle.count))
        } catch { finding("the server does not start: \(error)") }
        let things = machine.arguments.compactMap { UnsafeRawPointer(bitPattern: UInt($0)) }.map {
            Unmanaged<AnyObject>.fromOpaque($0).takeUnretainedValue()
        }
        guard let worker = things.lazy.compactMap({ $0 as? Worker }).first else {
            finding("no server thread serves the first process")
        }
        server = worker.server
        machine.settle()
        guard let guest = machine.guests.first else { finding("the first process does not run") }
        first = guest
    }

    private static func bundle(_ terminals: String) -> [UInt8] {
        let settings = [
            "program=/bin/program", "arg=program", "env=PATH=/bin", "cwd=/data",
            "terminal=" + terminals, "entropy=fuzz",
        ]
        var archive = LinuxArchive()
        archive.add(
            ABI.Bundle.specificationPath, 0o100644, settings.flatMap { Array($0.utf8) + [0] })
        archive.add("bin/program", 0o100755, LinuxProgram.file)
        archive.add("data", 0o040777, [])
        archive.add("data/file", 0o100666, [UInt8](repeating: 0x66, count: 5000))
        archive.add("data/text", 0o100644, Array("a text\nwith lines\n".utf8))
        archive.add("data/lines", 0o100600, [UInt8](repeating: 10, count: 300))
        archive.add("data/directory", 0o040755, [])
        archive.add("data/directory/inner", 0o100640, Array("inner".utf8))
        archive.add("data/script", 0o100755, Array("#! /bin/program -x\n".utf8))
        archive.add("data/broken", 0o100755, Array(LinuxProgram.file.prefix(100)))
        archive.add("data/link", 0o120777, Array("directory/inner".utf8))
        archive.add("data/loop", 0o120777, Array("loop".utf8))
        archive.add("data/fifo", 0o010666, [])
        return archive.finish()
    }

    // MARK: What the harness itself calls

    /// One call of a guest thread that the harness chose, until the thread is back in its guest.
    /// nil: it waits, or has ended.
    @discardableResult
    func call(_ thread: LinuxThread, _ number: UInt64, _ arguments: UInt64...) -> Int64? {
        guard let state = thread.restricted else { return nil }
        state.pointee.registers.rax = number
        state.pointee.registers.rdi = arguments.first ?? 0
        state.pointee.registers.rsi = arguments.count > 1 ? arguments[1] : 0
        state.pointee.registers.rdx = arguments.count > 2 ? arguments[2] : 0
        state.pointee.registers.r10 = arguments.count > 3 ? arguments[3] : 0
        state.pointee.registers.r8 = arguments.count > 4 ? arguments[4] : 0
        state.pointee.registers.r9 = arguments.count > 5 ? arguments[5] : 0
        machine.leaveGuest(thread, .systemCall)
        machine.settle()
        return thread.restricted.map { Int64(bitPattern: $0.pointee.registers.rax) }
    }

    /// As `call`, for a call that must succeed.
    private func must(_ thread: LinuxThread, _ number: UInt64, _ arguments: UInt64...) -> UInt64 {
        let a = arguments + [UInt64](repeating: 0, count: 6)
        guard let result = call(thread, number, a[0], a[1], a[2], a[3], a[4], a[5]), result >= 0
        else { finding("the scenery's call \(number) fails") }
        return UInt64(result)
    }

    private func path(_ name: String) -> UInt64 {
        LinuxProgram.names + UInt64(LinuxProgram.paths.firstIndex(of: name) ?? 0) * 64
    }

    /// Opens one file of each kind, maps the shared pages, and makes the two children.
    func populate() {
        _ = must(first, 9, LinuxProgram.shared, 16384, 3, 0x31, UInt64.max, 0)
        _ = must(first, 2, path("/data/file"), 2)
        _ = must(first, 2, path("/data/directory"), 0)
        _ = must(first, 293, LinuxProgram.buffers, 0)
        _ = must(first, 293, LinuxProgram.buffers, 0o4000)
        _ = must(first, 290, 1, 0)
        _ = must(first, 283, 1, 0)
        let epoll = must(first, 291, 0)
        _ = must(first, 233, epoll, 1, 5, LinuxProgram.structures + 31 * 64)
        _ = must(first, 2, path("/dev/tty"), 2)
        _ = must(first, 319, path("b"), 0)
        let foreground = must(first, 57)
        let background = must(first, 57)
        _ = must(first, 109, foreground, foreground)
        _ = must(first, 109, background, background)
        guard let space = first.space,
            machine.poke(space, LinuxProgram.buffers, foreground)
        else { finding("the first process has no memory") }
        call(first, 16, 12, 0x5410, LinuxProgram.buffers)
        guard let other = machine.guests.last, other !== first else {
            finding("the first process has no children")
        }
        _ = must(other, 105, 1000)
    }
}

/// Writes a cpio archive in "newc" form (cpio(5)).
struct LinuxArchive {
    private var bytes: [UInt8] = []

    mutating func add(_ name: String, _ mode: Int, _ contents: [UInt8]) {
        let fields = [
            bytes.count, mode, 0, 0, 1, 0, contents.count, 0, 0, 0, 0, name.utf8.count + 1, 0,
        ]
        bytes += Array("070701".utf8)
        for field in fields {
            let digits = String(field, radix: 16)
            bytes += Array((String(repeating: "0", count: 8 - digits.count) + digits).utf8)
        }
        bytes += Array(name.utf8) + [0]
        pad()
        bytes += contents
        pad()
    }

    mutating func finish() -> [UInt8] {
        add("TRAILER!!!", 0, [])
        return bytes
    }

    private mutating func pad() { while bytes.count % 4 != 0 { bytes.append(0) } }
}
