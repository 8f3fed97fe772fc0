import Store

/// What a user calls a persistence domain, and what it promises.
extension PersistenceDomain {
    public static let all: [PersistenceDomain] = [
        .coherentCache, .cacheLineFlush, .hostFlush,
    ]

    public var name: String {
        switch self {
        case .coherentCache: "coherent-cache"
        case .cacheLineFlush: "cache-line-flush"
        case .hostFlush: "host-flush"
        }
    }

    public init?(name: String) {
        guard let domain = Self.all.first(where: { $0.name == name }) else { return nil }
        self = domain
    }

    /// One line for `store info`.
    public var survives: String {
        switch self {
        case .coherentCache:
            "survives the death of the virtual machine; on memory whose caches are flushed on power failure (eADR), that of the host too"
        case .hostFlush:
            "survives the host's power failure too, as far as its disk keeps what fdatasync promises"
        case .cacheLineFlush:
            "as coherent-cache; on a store file in directly mapped persistent memory (ADR), the host's power failure too"
        }
    }
}
