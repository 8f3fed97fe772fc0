import ABI

/// Which children wait4(2) and waitid(2) wait for.
enum WaitTarget {
    case any
    case process(Int32)
    case group(Int32)
}

/// What was found.
struct WaitResult {
    let process: Int32
    let user: UInt32
    let status: WaitStatus
    let times: UInt64
}

struct WaitOptions: OptionSet {
    let rawValue: UInt32
    static let noHang = WaitOptions(rawValue: 1), stopped = WaitOptions(rawValue: 2)
    static let exited = WaitOptions(rawValue: 4), proceeded = WaitOptions(rawValue: 8)
    static let keep = WaitOptions(rawValue: 0x0100_0000)
}

extension GuestThread {
    /// Waits for a child to change; nil with `noHang` when none has. ECHILD when there is none to
    /// wait for.
    func waitForChild(_ target: WaitTarget, _ options: WaitOptions) throws(Errno) -> WaitResult? {
        while true {
            var hasCandidate = false
            for child in process.children where matches(child, target) {
                hasCandidate = true
                if let result = take(child, options) { return result }
            }
            if !hasCandidate { throw .ECHILD }
            if options.contains(.noHang) { return nil }
            try wait(on: process.childQueue)
        }
    }

    private func matches(_ child: GuestProcess, _ target: WaitTarget) -> Bool {
        switch target {
        case .any: true
        case .process(let id): child.id == id
        case .group(let id): child.groupID == id
        }
    }

    private func take(_ child: GuestProcess, _ options: WaitOptions) -> WaitResult? {
        let keep = options.contains(.keep)
        if child.isZombie {
            if !options.contains(.exited) { return nil }
            let result = result(child, child.exitStatus)
            if !keep { process.collect(child) }
            return result
        }
        guard let change = child.unreported else { return nil }
        let wanted: WaitOptions = change == .proceeded ? .proceeded : .stopped
        if !options.contains(wanted) { return nil }
        if !keep { child.unreported = nil }
        return result(child, change)
    }

    private func result(_ child: GuestProcess, _ status: WaitStatus) -> WaitResult {
        WaitResult(
            process: child.id, user: child.identity.realUser, status: status,
            times: child.ownTime &+ child.times.children)
    }
}

extension GuestProcess {
    /// Takes a zombie child's status and forgets it.
    func collect(_ child: GuestProcess) {
        times.children = times.children &+ child.times.own &+ child.times.children
        server.reap(child)
    }
}
