@testable import LinuxServer

/// Sequences of Linux system calls, faults, console input and time against the whole Linux server,
/// by two processes and all that they make. Each input runs in a process of its own, from the same
/// booted server.
final class LinuxTarget: FuzzTarget {
    private let isolation = Isolation()
    private let scenery: LinuxScenery
    static let ringPages: UInt64 = 4

    init() {
        scenery = LinuxScenery(terminals: "110", ringPages: LinuxTarget.ringPages)
        scenery.populate()
    }

    var counters: [(name: String, value: UInt64)] {
        [
            ("Linux calls", isolation[0]), ("native calls", isolation[1]),
            ("processes", isolation[2]), ("threads", isolation[3]),
        ]
    }

    func run(_ input: inout Input) {
        let whole = input
        isolation.run { [self] in
            var input = whole
            let session = LinuxSession(scenery, ringPages: LinuxTarget.ringPages)
            let before = scenery.machine.calls
            let newest = scenery.server.newestID
            session.run(&input)
            session.end()
            isolation[0] += session.guests.calls
            isolation[1] += scenery.machine.calls - before
            isolation[2] += UInt64(session.checks.processCount)
            isolation[3] += UInt64(scenery.server.newestID - newest)
        }
    }
}
