import PersistentHeap

/// Power cuts at every persist step of random transactions, on memory that forgets.
///
/// A round runs one seeded series of operations. Before each persist step it makes crash images,
/// recovers a heap from each, and compares it with the model: the state before or after the
/// operation that was running, nothing else. Every so often the recovery itself is cut, and
/// recovered again.
public struct CrashCampaign {
    /// What a round does.
    public enum Kind: String, CaseIterable, Sendable {
        /// Lists, tables, arrays and texts, with growth of the file and collections, under each
        /// log.
        case redo, undo
        /// Native objects, and their move to other addresses.
        case native
        /// Migration of a type's layout.
        case migration
        /// Transactions of several lanes at the same time, under each log.
        case lanesRedo, lanesUndo
        /// Ordered dictionaries under either log, and backups.
        case sorted
        /// Arrays in pieces and dictionaries in buckets, under either log.
        case pieces

        /// The kind of a round follows from its seed, so that the seed reproduces it.
        public init(seed: UInt64) {
            switch seed % 8 {
            case 0, 1: self = .undo
            case 2: self = .redo
            case 3: self = seed / 16 % 2 == 1 ? .pieces : .redo
            case 4: self = .native
            case 5: self = seed / 8 % 4 >= 2 ? .sorted : .migration
            case 6: self = .lanesRedo
            default: self = .lanesUndo
            }
        }
    }

    public struct Result: Sendable {
        public var points = 0
        public var recoveriesCut = 0
        public var replayed = 0
        public var undone = 0
        /// Rounds in which the file grew.
        public var grown = 0
        public init() {}

        public mutating func add(_ other: Result) {
            points += other.points
            recoveriesCut += other.recoveriesCut
            replayed += other.replayed
            undone += other.undone
            grown += other.grown
        }
    }

    public var seed: UInt64
    public var kind: Kind
    public var operations = 24
    public var imagesPerStep = 2
    /// Every other round commits by journal blocks, as on a file.
    let journals: Bool
    public internal(set) var result = Result()
    static let bytes = 1 << 18

    public init(seed: UInt64, kind: Kind? = nil) {
        self.seed = seed
        self.kind = kind ?? Kind(seed: seed)
        journals = seed / 8 % 2 == 1
    }

    public static var options: HeapOptions {
        var options = HeapOptions()
        // Less than an arena: the file grows within one, and by one.
        options.initialSize = 1 << 16
        options.arenaShift = 17
        options.laneCount = 2
        options.laneBytes = LaneFormat.minimumBytes
        options.collectsAtOpen = false
        return options
    }

    /// Runs one round. Throws on the first wrong state, naming what reproduces it.
    public mutating func run() throws {
        do {
            switch kind {
            case .redo: try run(CrashValues(mode: .redo))
            case .undo: try run(CrashValues(mode: .undo))
            case .native: try runNative()
            case .migration: try runMigration()
            case .lanesRedo: try runLanes(.redo)
            case .lanesUndo: try runLanes(.undo)
            case .sorted: try run(CrashOrders(mode: seed / 16 % 2 == 0 ? .redo : .undo, seed: seed))
            case .pieces: try run(CrashPieces(mode: seed / 32 % 2 == 0 ? .redo : .undo))
            }
        } catch {
            throw CrashFailure("seed \(seed), \(kind): \(error)")
        }
    }

    /// Adds what a probe saw, and throws what it found wrong.
    mutating func finish(_ probe: Probe) throws {
        result.add(probe.result)
        if let failure = probe.failure { throw CrashFailure(failure) }
    }
}
