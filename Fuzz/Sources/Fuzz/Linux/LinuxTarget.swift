@testable import LinuxServer

/// Sequences of Linux system calls, faults, console input and time against the whole Linux server,
/// by two processes and all that they make. Each input runs in a process of its own, from the same
/// booted server.
final class LinuxTarget: FuzzTarget {
    private let scenery: LinuxScenery
    private static let ringPages: UInt64 = 4

    init() {
        scenery = LinuxScenery(terminals: "110", ringPages: LinuxTarget.ringPages)
        scenery.populate()
        Isolation.start { [scenery] in LinuxTarget.live(scenery, &$0) }
    }

    var counters: [(name: String, value: UInt64)] {
        ["Linux calls", "native calls", "processes", "threads"].enumerated().map {
            ($0.element, Isolation.counter($0.offset))
        }
    }

    func run(_ input: inout Input) { Isolation.run(input) }

    private static func live(_ scenery: LinuxScenery, _ input: inout Input) {
        let session = LinuxSession(scenery, ringPages: ringPages)
        let before = scenery.machine.calls
        let newest = scenery.server.newestID
        session.run(&input)
        session.end()
        Isolation.count(0, session.guests.calls)
        Isolation.count(1, scenery.machine.calls - before)
        Isolation.count(2, UInt64(session.checks.processCount))
        Isolation.count(3, UInt64(scenery.server.newestID - newest))
    }
}
