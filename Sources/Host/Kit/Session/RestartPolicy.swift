/// Whether the command starts a machine again that ended before the program did.
public enum RestartPolicy: String, Sendable, CaseIterable {
    case never
    case onCrash = "on-crash"
}

/// Says when to give up: a machine that ends again and again without a commit would do so for ever.
struct RestartCount {
    static let limit = 3
    private let policy: RestartPolicy
    private var version: UInt64?
    private var vain = 0

    init(_ policy: RestartPolicy) { self.policy = policy }

    /// `version` is the committed one at the end.
    mutating func allows(after error: HostError, _ version: UInt64) -> Bool {
        guard policy == .onCrash else { return false }
        switch error {
        case .machineDied, .machinePanicked: break
        default: return false
        }
        vain = version == self.version ? vain + 1 : 0
        self.version = version
        return vain < RestartCount.limit
    }
}

extension HostError {
    /// Why a machine ended, in a few words.
    var cause: String {
        switch self {
        case .machineDied(_, let how): how
        case .machinePanicked(_, let message): "its kernel stopped: \(message)"
        default: "\(self)"
        }
    }
}

extension ConsoleSession.Outcome {
    /// The program has ended.
    var isExit: Bool {
        if case .exited = self { return true }
        return false
    }
}
