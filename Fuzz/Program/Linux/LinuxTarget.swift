@testable import LinuxServer

/// Sequences of Linux system calls, faults, console input and time against the whole Linux server,
/// by two processes and all that they make.
final class LinuxTarget: FuzzTarget {
    private let nursery = Nursery { LinuxInhabitant() }

    var counters: [(name: String, value: UInt64)] {
        Nursery.counters("Linux calls", "native calls", "processes", "threads")
    }

    func run(_ input: inout Input) { nursery.run(input) }
}

private final class LinuxInhabitant: Inhabitant {
    private static let ringPages: UInt64 = 4
    private let scenery: LinuxScenery

    init() {
        scenery = LinuxScenery(terminals: "110", ringPages: LinuxInhabitant.ringPages)
        scenery.populate()
    }

    func live(_ input: inout Input) {
        let session = LinuxSession(scenery, ringPages: LinuxInhabitant.ringPages)
        let before = scenery.machine.calls
        let newest = scenery.server.newestID
        session.run(&input)
        session.end()
        Nursery.count(0, session.guests.calls)
        Nursery.count(1, scenery.machine.calls - before)
        Nursery.count(2, UInt64(session.checks.processCount))
        Nursery.count(3, UInt64(scenery.server.newestID - newest))
    }
}
