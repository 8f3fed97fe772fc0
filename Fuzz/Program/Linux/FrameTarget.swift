import ABI

@testable import LinuxServer

/// Console frames. The server's side: frames of the host and whatever else the outside writes into
/// the rings, while guests read, write, poll and control a terminal or plain streams. The host's
/// side is its reader of output (`HostReader`).
final class FrameTarget: FuzzTarget {
    private let nurseries = [
        Nursery { FrameInhabitant(isTerminal: true) },
        Nursery { FrameInhabitant(isTerminal: false) },
    ]

    private let host = HostReader()

    var counters: [(name: String, value: UInt64)] {
        Nursery.counters(
            "frames", "frames of the server", "hostile words", "Linux calls", "bytes compared")
    }

    func run(_ input: inout Input) {
        switch input.byte() & 3 {
        case 0: nurseries[0].run(input)
        case 1: nurseries[1].run(input)
        default: Nursery.count(0, host.run(&input))
        }
    }
}

private final class FrameInhabitant: Inhabitant {
    private static let ringPages: UInt64 = 8
    private let scenery: LinuxScenery
    private let isTerminal: Bool

    init(isTerminal: Bool) {
        self.isTerminal = isTerminal
        scenery = LinuxScenery(
            terminals: isTerminal ? "111" : "000", ringPages: FrameInhabitant.ringPages)
        scenery.populate()
    }

    func live(_ input: inout Input) {
        let session = LinuxSession(scenery, ringPages: FrameInhabitant.ringPages)
        let outside = HostileOutside(session, isTerminal: isTerminal)
        session.readHeader(&input)
        machine.scarcity = 0
        while !input.isEmpty {
            let isServed = session.serve()
            outside.watch()
            if !isServed { event(session, outside, &input) }
        }
        machine.preemption = 0
        machine.settle()
        outside.leave()
        session.end()
        Nursery.count(0, outside.frames)
        Nursery.count(1, session.console.frames)
        Nursery.count(2, outside.hostileWords)
        Nursery.count(3, session.guests.calls)
        Nursery.count(4, outside.compared)
    }

    private var machine: LinuxMachine { scenery.machine }

    private func event(
        _ session: LinuxSession, _ outside: HostileOutside, _ input: inout Input
    ) {
        let kind = input.byte()
        let candidates = session.guests.candidates
        if kind & 1 == 0 || candidates.isEmpty { return outside.act(kind >> 1, &input) }
        let guest = candidates[Int(kind >> 1) % candidates.count]
        let choice = Int(input.byte())
        if choice >= 240 {
            let next = machine.nextDeadline ?? machine.now + 1_000_000
            return machine.advance(to: min(next, machine.now + 1 << 40))
        }
        if choice >= 236 { return session.guests.act(guest, 26, &input) }
        let shapes = LinuxCallShape.console
        let space = guest.space
        session.guests.call(guest, shapes[choice % shapes.count], &input)
        outside.note(guest, space)
    }
}
