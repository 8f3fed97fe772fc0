import ABI

@testable import LinuxServer

/// One input's life: guests, the console and time act until the input has ended; then the first
/// process ends everything, and nothing may be left.
final class LinuxSession {
    let scenery: LinuxScenery
    let machine: LinuxMachine
    let console: LinuxConsole
    let guests: LinuxGuests
    let checks: LinuxChecks
    private var idleSteps = 0

    init(_ scenery: LinuxScenery, ringPages: UInt64) {
        self.scenery = scenery
        machine = scenery.machine
        console = LinuxConsole(machine, ringPages: ringPages)
        guests = LinuxGuests(scenery)
        checks = LinuxChecks(scenery)
    }

    /// The input's first bytes: how threads interleave, and how scarce memory is.
    func readHeader(_ input: inout Input) {
        machine.seed(input.half())
        let choice = input.byte()
        machine.preemption = [0, 0, 3, 24][Int(choice & 3)]
        machine.scarcity = [0, 0, 0, 0, 0, 2, 10, 40][Int(choice >> 2 & 7)]
    }

    /// Lets server threads run, mostly until they wait. False: it is the input's turn.
    func serve() -> Bool {
        let isInputFirst = machine.preemption > 0 && machine.roll() < 48
        guard !isInputFirst, machine.step() else {
            idleSteps = 0
            return false
        }
        idleSteps += 1
        if idleSteps > 200_000 { finding("server threads run for ever") }
        checks.watch()
        return true
    }

    func run(_ input: inout Input) {
        readHeader(&input)
        while !input.isEmpty {
            if serve() { continue }
            event(&input)
        }
    }

    private func event(_ input: inout Input) {
        let kind = input.byte()
        let candidates = guests.candidates
        if kind & 31 == 30 { return outside(&input) }
        if kind & 31 == 31 || candidates.isEmpty { return elsewhere(kind, &input) }
        guests.act(candidates[Int(kind >> 5) % candidates.count], kind & 31, &input)
    }

    /// The host's command.
    private func outside(_ input: inout Input) {
        let choice = input.byte()
        Session.trace("console \(choice)")
        switch choice % 8 {
        case 0..<3: console.drain()
        case 3: console.send(choice >> 4, [UInt8](repeating: input.byte(), count: 4))
        default:
            console.send(1, (0..<Int(choice >> 3)).map { _ in input.byte() })
        }
    }

    /// Time, and what the first process does.
    private func elsewhere(_ kind: UInt8, _ input: inout Input) {
        let choice = input.byte()
        Session.trace("elsewhere \(kind >> 5), \(choice)")
        if kind >> 5 < 4 {
            // At most some days, so that the clock never ends.
            let next = machine.nextDeadline ?? machine.now + 1_000_000
            machine.advance(to: min(next, machine.now + 1 << 50))
        } else if kind >> 5 < 6 {
            machine.advance(to: machine.now + 1 << UInt64(choice % 40))
        } else if scenery.canFirstCall {
            machine.settle()
            guard scenery.canFirstCall else { return }
            let signals: [UInt64] = [18, 18, 17, 15, 2, 14, 10, 9]
            if choice & 1 == 0 {
                scenery.call(scenery.first, 57)
            } else {
                scenery.call(scenery.first, 62, UInt64(choice >> 4), signals[Int(choice >> 1 & 7)])
            }
        }
    }

    // MARK: The end

    func end() {
        machine.preemption = 0
        machine.scarcity = 0
        machine.settle()
        checks.checkSpaces()
        if scenery.canFirstCall { endByCalls() } else { endByForce() }
        console.drain()
        machine.settle()
        // The queue forgets timers that were cancelled when it next looks.
        scenery.server.timers.arm(
            ServerTimer { _ in }, deadline: machine.now + 1_000_000, interval: 0)
        machine.settle()
        machine.advance(to: machine.now + 2_000_000)
        machine.settle()
        console.check()
        if console.exitStatus == nil {
            finding("the first process has no exit frame: \(checks.describeProcesses())")
        }
        checks.checkEnd()
    }

    /// kill(2) for everybody, wait4(2) for each child, exit_group(2).
    private func endByCalls() {
        let first = scenery.first
        scenery.call(first, 62, UInt64(bitPattern: -1), 9)
        while true {
            console.drain()
            machine.settle()
            guard scenery.canFirstCall else { break }
            let result = scenery.call(first, 61, UInt64(bitPattern: -1))
            if !scenery.canFirstCall {
                finding("a child that was killed goes on: \(checks.describeProcesses())")
            }
            if result == -10 { break }
        }
        scenery.call(first, 231, 0)
    }

    /// The input has ended the first process, or stopped it.
    private func endByForce() {
        let server = scenery.server
        server.lock.acquire()
        for process in server.processes { process.exitAll(.killed(.kill)) }
        server.lock.release()
        machine.settle()
    }
}
