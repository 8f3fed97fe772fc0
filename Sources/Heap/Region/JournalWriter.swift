import CPersistentMemory

/// A stretch of memory that holds part of a journal block: offset of the content, room and use in
/// words. In the heap two words stand before it: where the next piece is (0: nowhere), and the use.
struct JournalPiece: BitwiseCopyable {
    static let headBytes: UInt64 = 16

    var offset: UInt64
    var room: Int
    var used = 0
}

/// The content of a journal block: runs of words, each its offset, its count, and the words.
/// Neighbouring words share a run; no run goes from one piece into another.
struct JournalWriter {
    private let lane: LogLane
    /// The first piece to fill; nil: only counts.
    private var piece: UnsafeMutablePointer<JournalPiece>?
    private(set) var count = 0
    private var runHead: UnsafeMutablePointer<UInt64>?
    private var runEnd: UInt64 = ~0
    /// New objects that the block leaves out, since their homes are durable already.
    private let leavesOut: Bool

    /// Words that the content takes if it lies in one piece.
    static func count(_ lane: LogLane, leavingOutLargeObjects: Bool = false) -> Int {
        var writer = JournalWriter(lane, nil, leavingOutLargeObjects)
        writer.addAll()
        return writer.count
    }

    /// Fills the lane's pieces; returns the count of words.
    static func write(_ lane: LogLane, leavingOutLargeObjects: Bool) -> Int {
        var writer = JournalWriter(lane, lane.state.pointee.pieces.base, leavingOutLargeObjects)
        writer.addAll()
        return writer.count
    }

    private init(
        _ lane: LogLane, _ piece: UnsafeMutablePointer<JournalPiece>?, _ leavesOut: Bool
    ) {
        self.lane = lane
        self.piece = piece
        self.leavesOut = leavesOut
    }

    private mutating func addAll() {
        let state = lane.state
        let base = state.pointee.access.base
        // New objects first: a word stored later into one of them counts.
        for index in 0..<state.pointee.fresh.count {
            let range = state.pointee.fresh[index]
            if leavesOut, lane.isLargeObject(range) { continue }
            add(range.offset, base + Int(range.offset), (range.length &+ 7) / 8)
        }
        for index in 0..<state.pointee.ranges.count {
            let range = state.pointee.ranges[index]
            add(range.offset, base + Int(range.offset), range.length / 8)
        }
        for index in 0..<state.pointee.words.count {
            withUnsafeBytes(of: state.pointee.words[index].value) {
                if let value = $0.baseAddress { add(state.pointee.words[index].offset, value, 1) }
            }
        }
        guard let spans = state.pointee.spans else { return }
        for index in 0..<spans.pointee.count {
            let offset = spans.pointee[index]
            add(offset, base + Int(offset), 1)
        }
    }

    private mutating func add(_ offset: UInt64, _ source: UnsafeRawPointer, _ words: Int) {
        guard piece != nil else {
            count += words + (offset == runEnd ? 0 : 2)
            runEnd = offset + UInt64(words * 8)
            return
        }
        var done = 0
        while done < words, let current = piece {
            let home = offset + UInt64(done * 8)
            let head = home == runEnd ? 0 : 2
            let room = current.pointee.room - current.pointee.used - head
            guard room > 0 else {
                piece = current + 1
                runEnd = ~0
                continue
            }
            let taken = min(room, words - done)
            put(home, source + done * 8, taken, in: current, startsRun: head != 0)
            done += taken
        }
    }

    private mutating func put(
        _ home: UInt64, _ source: UnsafeRawPointer, _ words: Int,
        in piece: UnsafeMutablePointer<JournalPiece>, startsRun: Bool
    ) {
        let content = lane.state.pointee.access.base + Int(piece.pointee.offset)
        var target = content.assumingMemoryBound(to: UInt64.self) + piece.pointee.used
        if startsRun {
            target[0] = home
            target[1] = 0
            runHead = target + 1
            target += 2
            piece.pointee.used += 2
            count += 2
        }
        UnsafeMutableRawPointer(target).copyMemory(from: source, byteCount: words * 8)
        runHead?.pointee += UInt64(words)
        piece.pointee.used += words
        count += words
        runEnd = home + UInt64(words * 8)
    }
}
