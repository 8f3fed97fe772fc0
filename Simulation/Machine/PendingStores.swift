/// The stores that a power cut may still lose, oldest first.
///
/// Invariant: an entry is here exactly while no fence has completed a flush of its line that came
/// after it.
struct PendingStores {
    struct Entry {
        var word: UInt32
        /// What the word held before the store.
        var before: UInt64
    }
    private(set) var entries: [Entry] = []
    /// For each line flushed since the last fence: how many entries there were when it was; 0 = not
    /// flushed.
    private let marks: UnsafeMutablePointer<UInt32>
    private var flushed: [UInt32] = []
    /// How many entries each line has.
    private let counts: UnsafeMutablePointer<UInt32>

    init(lineCount: Int) {
        counts = .allocate(capacity: lineCount)
        counts.initialize(repeating: 0, count: lineCount)
        marks = .allocate(capacity: lineCount)
        marks.initialize(repeating: 0, count: lineCount)
    }

    func deallocate() {
        marks.deallocate()
        counts.deallocate()
    }

    /// Whether no store to any of the lines may be lost.
    func isDurable(lines: ClosedRange<Int>) -> Bool {
        for line in lines where counts[line] > 0 { return false }
        return true
    }

    @inline(__always) mutating func add(word: Int, before: UInt64) {
        entries.append(Entry(word: UInt32(truncatingIfNeeded: word), before: before))
        counts[word / 8] += 1
    }

    mutating func flush(lines: ClosedRange<Int>) {
        if entries.isEmpty { return }
        for line in lines {
            if marks[line] == 0 { flushed.append(UInt32(truncatingIfNeeded: line)) }
            marks[line] = UInt32(truncatingIfNeeded: entries.count)
        }
    }

    mutating func fence() {
        if flushed.isEmpty { return }
        var kept = 0
        for index in entries.indices {
            let line = Int(entries[index].word / 8)
            if index < Int(marks[line]) {
                counts[line] -= 1
                continue
            }
            if kept != index { entries[kept] = entries[index] }
            kept += 1
        }
        entries.removeLast(entries.count - kept)
        clearMarks()
    }

    mutating func forget() {
        clearCounts()
        entries.removeAll(keepingCapacity: true)
        clearMarks()
    }

    private func clearCounts() {
        for entry in entries { counts[Int(entry.word / 8)] = 0 }
    }

    private mutating func clearMarks() {
        for line in flushed { marks[Int(line)] = 0 }
        flushed.removeAll(keepingCapacity: true)
    }

    /// What `restore` needs to put everything back after a crash was tried.
    struct Saved {
        var entries: [Entry]
        var marks: [(line: UInt32, mark: UInt32)]
    }

    mutating func take() -> Saved {
        let saved = Saved(entries: entries, marks: flushed.map { ($0, marks[Int($0)]) })
        clearCounts()
        entries = []
        clearMarks()
        return saved
    }

    mutating func restore(_ saved: Saved) {
        clearMarks()
        clearCounts()
        entries = saved.entries
        for entry in entries { counts[Int(entry.word / 8)] += 1 }
        for (line, mark) in saved.marks {
            marks[Int(line)] = mark
            flushed.append(line)
        }
    }
}

/// Old values of words, to undo what happened after a crash that was only tried.
struct Journal {
    private(set) var entries: [(word: UInt32, before: UInt64)] = []
    var depth = 0
    @inline(__always) var isActive: Bool { depth > 0 }

    @inline(__always) mutating func add(word: Int, before: UInt64) {
        entries.append((UInt32(truncatingIfNeeded: word), before))
    }

    mutating func removeLast() -> (word: UInt32, before: UInt64)? { entries.popLast() }
}
