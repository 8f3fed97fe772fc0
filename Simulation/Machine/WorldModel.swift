import ABI
import Store

/// What a `StoreWorld` should contain at one version, kept as plainly as possible.
struct WorldModel: Equatable {
    struct PMO: Equatable {
        /// 0 = there is no PMO.
        var generation: UInt32 = 0
        /// `wordsPerPage` sampled words for each of `pages`.
        var words: [UInt64] = []
    }
    var version: UInt64 = 0
    var pmos: [PMO] = Array(repeating: PMO(), count: WorldModel.indices.count)

    /// Object indices that are used: both record classes, several record frames.
    static let indices: [UInt32] = [0, 1, 16, 40, RecordClass.largeBit, RecordClass.largeBit | 3]
    /// Page numbers that are used: several leaves and all depths of tree that a small store can
    /// hold.
    static let pages: [UInt64] = [0, 1, 5, 127, 128, 300, 65_535, 65_536, 70_000]
    static let pageCount: UInt64 = 100_000
    /// Byte offsets in a page that are written and compared.
    static let offsets: [UInt64] = [0, 8, 1_000, 4_088]

    /// Frames of the store's image; the first pages of some PMOs show it.
    static let imageFrames: UInt32 = 8
    /// A word of the image.
    static func imageWord(_ page: UInt64, _ offset: UInt64) -> UInt64 {
        0x1A6E_0000_0000_0000 | page << 16 | offset
    }
    /// What a PMO shows whose first pages show the image.
    static func image(pages count: UInt64) -> [UInt64] {
        pages.flatMap { page in
            offsets.map { page < count ? imageWord(page, $0) : 0 }
        }
    }

    static var blank: [UInt64] { Array(repeating: 0, count: pages.count * offsets.count) }
}

/// A PMO as the world's kernel in miniature keeps it.
struct WorldPMO {
    enum Life { case alive, dying, dead }
    var tree: PageTree
    var promised: UInt64 = 0
    var life = Life.alive
    var isDirty = true
}

/// The world's PMOs by position in `WorldModel.indices`.
struct WorldPMOs: PageTreeOwners {
    var pmos: [WorldPMO?] = Array(repeating: nil, count: WorldModel.indices.count)

    func pageTree(of owner: ObjectID) -> PageTree? {
        for pmo in pmos {
            if let pmo, pmo.tree.owner == owner { return pmo.tree }
        }
        return nil
    }
}

/// Where the newest record of an index is, and how often the index was used.
struct WorldRecord {
    var slot: Int?
    var generation: UInt32 = 0
    var isDirty = false
}

/// Collects what went wrong, with the numbers that reproduce it.
public final class FailureLog {
    public private(set) var messages: [String] = []
    /// Crashes tried.
    public var crashPoints: UInt64 = 0
    /// Restores made, nested ones included.
    public var restores: UInt64 = 0
    public var commits: UInt64 = 0
    public var scrubs: UInt64 = 0
    /// Restores whose whole state was compared with that of the committed version.
    public var compared: UInt64 = 0
    /// Crashes tried at each depth: 0 in a run, 1 in a recovery, 2 in the recovery of that, …
    public var crashesAtDepth: [UInt64] = []
    /// How often each kind of fault really happened.
    public private(set) var faults: [SimFaults.RawValue: UInt64] = [:]
    public init() {}
    public var isEmpty: Bool { messages.isEmpty }

    public func noteCrash(depth: Int) {
        crashPoints += 1
        while crashesAtDepth.count <= depth { crashesAtDepth.append(0) }
        crashesAtDepth[depth] += 1
    }
    public func noteFault(_ fault: SimFaults) { faults[fault.rawValue, default: 0] += 1 }
    public func count(of fault: SimFaults) -> UInt64 { faults[fault.rawValue, default: 0] }

    public func add(_ message: @autoclosure () -> String) {
        if messages.count < 20 { messages.append(message()) }
    }
}
