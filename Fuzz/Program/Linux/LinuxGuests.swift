import ABI

@testable import LinuxServer

/// What guests do, decoded from the input.
final class LinuxGuests {
    private let scenery: LinuxScenery
    private let machine: LinuxMachine
    private(set) var calls: UInt64 = 0
    private(set) var lastCall = Registers()
    /// The guest thread's next instruction is the `syscall` before this address.
    static let callSite = LinuxProgram.text + 0x80

    init(_ scenery: LinuxScenery) {
        self.scenery = scenery
        machine = scenery.machine
    }

    /// Guests that the input speaks for.
    var candidates: [LinuxThread] {
        scenery.isFirstAlive ? machine.guests.filter { $0 !== scenery.first } : machine.guests
    }

    func act(_ thread: LinuxThread, _ what: UInt8, _ input: inout Input) {
        guard let state = thread.restricted else { return }
        machine.now += 1000
        switch what {
        case 0..<25:
            let shapes = LinuxCallShape.all
            call(thread, shapes[Int(input.half()) % shapes.count], &input)
        case 25..<28: store(thread, &input)
        case 28: fault(thread, LinuxArguments.decode(UInt8(ascii: "m"), &input))
        default:
            state.pointee.vector = UInt64(input.byte() % 21)
            state.pointee.errorCode = 0
            machine.leaveGuest(thread, .exception)
        }
    }

    func call(_ thread: LinuxThread, _ shape: LinuxCallShape, _ input: inout Input) {
        guard let state = thread.restricted else { return }
        if state.pointee.registers.rip == Self.callSite { return repeatCall(thread, state) }
        var words = [UInt64](repeating: 0, count: 6)
        for (index, letter) in shape.arguments.prefix(6).enumerated() {
            words[index] = LinuxArguments.decode(letter, &input)
        }
        state.pointee.registers.rdi = words[0]
        state.pointee.registers.rsi = words[1]
        state.pointee.registers.rdx = words[2]
        state.pointee.registers.r10 = words[3]
        state.pointee.registers.r8 = words[4]
        state.pointee.registers.r9 = words[5]
        state.pointee.registers.rax = shape.number
        // A handler that returns has popped its return address before it calls sigreturn.
        if shape.number == 15 { state.pointee.registers.rsp &+= 8 }
        repeatCall(thread, state)
    }

    /// A call, or one that the server asked to be made again.
    private func repeatCall(_ thread: LinuxThread, _ state: UnsafeMutablePointer<RestrictedState>) {
        calls += 1
        lastCall = state.pointee.registers
        Session.trace(describe(thread, state.pointee.registers))
        state.pointee.registers.rip = Self.callSite + 2
        machine.leaveGuest(thread, .systemCall)
    }

    /// Which thread makes which call, and what its last one answered.
    private func describe(_ thread: LinuxThread, _ r: Registers) -> String {
        let worker = scenery.server.workers.first { $0.state == thread.restricted }
        let owner = scenery.server.threads.first { $0.worker === worker && worker != nil }
        let words = [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9].map { String($0, radix: 16) }
        return "\(owner?.id ?? 0): call \(r.rax) \(words.joined(separator: " "))"
    }

    /// Changes a word of the structures that calls take, as a program would.
    private func store(_ thread: LinuxThread, _ input: inout Input) {
        let place = input.half()
        let base = place & 0x8000 == 0 ? LinuxProgram.structures : LinuxProgram.shared
        let address = base + place % 2048 * 8
        let letters = Array("aafpsbnwvmtgi".utf8)
        let value = LinuxArguments.decode(letters[Int(input.byte()) % letters.count], &input)
        guard let space = thread.space else { return }
        if !machine.poke(space, address, value) { fault(thread, address) }
    }

    private func fault(_ thread: LinuxThread, _ address: UInt64) {
        guard let state = thread.restricted else { return }
        Session.trace("page fault at \(String(address, radix: 16))")
        state.pointee.vector = 14
        state.pointee.errorCode = 6
        state.pointee.faultAddress = address
        machine.leaveGuest(thread, .pageFault)
    }
}
