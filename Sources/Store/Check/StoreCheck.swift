import ABI

/// Walks everything that the committed version consists of and verifies every check and invariant.
/// Changes nothing, allocates, and never traps, whatever the region holds. For `evertree store
/// check` and for tests; not for the kernel's paths.
public struct StoreChecker<Memory: PersistentMemory>: ~Copyable {
    let store: Store<Memory>
    public internal(set) var report = StoreReport()
    /// A bit for each frame of the region: used by the committed version.
    var used: [UInt64]
    /// Sums over the records and over one PMO's pages.
    var recordSum: UInt64 = 0
    var pageSum: UInt64 = 0
    /// Words that hold links of the aborted version, as a restore would undo them.
    var undone: [UInt64] = []

    /// Checks a region. Never throws: a store that cannot be opened is a finding.
    public static func check(_ memory: Memory) -> StoreReport {
        do throws(StoreError) {
            var checker = StoreChecker(try Store(reading: memory))
            checker.run()
            checker.store.close()
            return checker.report
        } catch {
            var report = StoreReport()
            report.add(.unreadable(error))
            return report
        }
    }

    /// Whether a frame's stamp says that it holds a page: bytes of programs, which carry no
    /// checksum.
    public static func holdsPage(_ frame: FrameNumber, in memory: Memory) -> Bool {
        do throws(StoreError) {
            let store = try Store(reading: memory)
            defer { store.close() }
            let offset = store.layout.stampOffset(frame)
            guard store.layout.isDataFrame(frame),
                case .good(let stamp) = FrameStamp.load(
                    from: memory, at: offset, check: store.check)
            else { return false }
            return stamp.role == .page
        } catch { return false }
    }

    init(_ store: consuming Store<Memory>) {
        used = Array(repeating: 0, count: Int(store.layout.frameCount) / 64 + 1)
        self.store = store
    }

    mutating func run() {
        report.commit = store.lastCommit
        report.dataFrames = UInt64(store.layout.dataFrames)
        for index in 0..<store.abortedLinks {
            if let parent = store.abortedLink(index) { undone.append(parent) }
        }
        checkSuperblocks()
        checkSlots(store.commitSlots, isCommit: true)
        checkSlots(store.historySlots, isCommit: false)
        for large in [false, true] { checkRecords(large: large) }
        checkStamps()
        if recordSum != store.lastCommit.recordSum { report.add(.recordSum) }
        if report.framesPromised != store.lastCommit.promisedFrames {
            report.add(
                .promised(recorded: store.lastCommit.promisedFrames, counted: report.framesPromised)
            )
        }
    }

    /// Notes that a frame is in use. False when it was already.
    mutating func use(_ frame: FrameNumber, _ stamp: FrameStamp) -> Bool {
        let (word, bit) = (Int(frame.value / 64), UInt64(1) << UInt64(frame.value % 64))
        if used[word] & bit != 0 {
            report.add(.frameUsedTwice(frame: frame))
            return false
        }
        used[word] |= bit
        report.framesUsed += 1
        switch FrameStamp.load(
            from: store.memory, at: store.layout.stampOffset(frame), check: store.check)
        {
        case .good(let found): if found != stamp { report.add(.wrongStamp(frame: frame)) }
        case .blank: report.add(.wrongStamp(frame: frame))
        case .damaged: break  // reported by `checkStamps`
        }
        return true
    }

    private mutating func checkStamps() {
        for frame in store.layout.firstDataFrame..<store.layout.frameCount {
            let offset = store.layout.stampOffset(FrameNumber(frame))
            let stamp = FrameStamp.load(from: store.memory, at: offset, check: store.check)
            if stamp == .damaged { report.add(.stamp(frame: FrameNumber(frame))) }
        }
        for frame in 0..<store.layout.firstDataFrame {
            let offset = store.layout.stampOffset(FrameNumber(frame))
            for word in [offset, offset + 8]
            where store.check.open48(store.memory.load(word), at: word) != 0 {
                report.add(.stamp(frame: FrameNumber(frame)))
            }
        }
    }

    enum Link {
        case damaged, absent
        case to(FrameNumber)
    }

    /// What a table's word names. Links of an aborted version count as absent.
    func link(_ offset: UInt64) -> Link {
        guard let value = store.check.open32(store.memory.load(offset), at: offset),
            value == 0 || store.layout.isDataFrame(FrameNumber(value))
        else { return .damaged }
        return value == 0 || undone.contains(offset) ? .absent : .to(FrameNumber(value))
    }
}

extension StoreChecker {
    private mutating func checkSuperblocks() {
        for copy: UInt32 in 0..<2 {
            guard case .good(let identity) = Superblock.load(from: store.memory, copy: copy),
                identity == store.identity
            else {
                report.add(.superblockCopy(copy: Int(copy)))
                continue
            }
        }
    }

    /// A crash may leave a half-written first copy in the older slot, or a half-written second copy
    /// in the newer. Where stores keep their order, a copy that differs from its sibling by a
    /// single bit was not written so; where they do not, the two causes cannot be told apart.
    private mutating func checkSlots(_ slots: MirroredSlots, isCommit: Bool) {
        let memory = store.memory
        let ordered = store.identity.domain == .coherentCache
        for slot in 0..<2 {
            for copy in 0..<2 {
                let finding: StoreFinding =
                    isCommit
                    ? .commitCopy(slot: slot, copy: copy) : .historyCopy(slot: slot, copy: copy)
                switch slots.state(memory, slot: slot, copy: copy) {
                case .good: continue
                case .empty:
                    if ordered && slots.weight(memory, slot: slot, copy: copy) > 0 {
                        report.add(finding)
                    }
                case .bad:
                    let flipped = ordered && slots.distance(memory, slot: slot) == 1
                    let isCrash = !flipped && (copy == 0) != (slot == slots.newest)
                    if isCrash { report.notes.append(finding) } else { report.add(finding) }
                }
            }
        }
    }
}

extension MirroredSlots {
    /// Bits set in a copy, at most 2.
    func weight(_ memory: borrowing some PersistentMemory, slot: Int, copy: Int) -> Int {
        var bits = 0
        let offset = copyOffset(slot: slot, copy: copy)
        for word in 0..<UInt64(payloadWords + 2) {
            bits += memory.load(offset + word * 8).nonzeroBitCount
        }
        return min(bits, 2)
    }

    /// Bits in which the two copies of a slot differ.
    func distance(_ memory: borrowing some PersistentMemory, slot: Int) -> Int {
        var bits = 0
        let (first, second) = (copyOffset(slot: slot, copy: 0), copyOffset(slot: slot, copy: 1))
        for word in 0..<UInt64(payloadWords + 2) {
            bits += (memory.load(first + word * 8) ^ memory.load(second + word * 8)).nonzeroBitCount
        }
        return bits
    }
}
