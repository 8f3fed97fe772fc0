import ABI
import Machine
import Store

/// Counters since this boot; the page on NVM adds them up over boots.
struct KernelStatistics {
    var pageFaults: UInt64 = 0
    var copyOnWrites: UInt64 = 0
    var nativeCalls: UInt64 = 0
    var bytesWritten: UInt64 = 0
    var outputBytes: UInt64 = 0
    var lastPause = PauseClock(start: 0)
    var lastDirtyObjects = 0
    var lastDirtyPages = 0
    var pagesCaptured: UInt64 = 0

    mutating func note(_ clock: PauseClock, dirtyObjects: Int, dirtyPages: Int) {
        lastPause = clock
        lastDirtyObjects = dirtyObjects
        lastDirtyPages = dirtyPages
    }
}

extension Kernel {
    private func offset(_ statistic: Statistic) -> UInt64 {
        StoreLayout.statistics.offset + UInt64(statistic.rawValue) * 8
    }
    private func set(_ statistic: Statistic, _ value: UInt64) {
        store.memory.store(value, at: offset(statistic))
    }
    private func add(_ statistic: Statistic, _ value: UInt64) {
        let place = offset(statistic)
        store.memory.store(store.memory.load(place) &+ value, at: place)
    }

    /// After each commit. Plain stores: the page is for people, nothing depends on it.
    mutating func publishStatistics() {
        set(.committedVersion, store.committed.value)
        add(.checkpoints, 1)
        add(.dirtyObjects, UInt64(statistics.lastDirtyObjects))
        add(.dirtyPages, UInt64(statistics.lastDirtyPages))
        add(.pageFaults, statistics.pageFaults)
        add(.copyOnWriteFaults, statistics.copyOnWrites)
        add(.nativeCalls, statistics.nativeCalls)
        add(.bytesWritten, statistics.bytesWritten)
        add(.outputBytesPublished, statistics.outputBytes)
        add(.pagesCaptured, statistics.pagesCaptured)
        set(.hotPages, UInt64(hot.count))
        set(.framesTotal, UInt64(store.layout.dataFrames))
        set(.framesUsed, store.promised)
        set(.framesFree, store.framesAvailable)
        set(.recordsUsed, UInt64(objects.pointee.used))
        set(.threads, UInt64(threads.capacity - threads.freeCount))
        for part in 0..<PausePart.count { countPause(part) }
        let pause = statistics.lastPause
        statistics = KernelStatistics()
        statistics.lastPause = pause
    }

    private func countPause(_ part: Int) {
        guard let name = PausePart(rawValue: part) else { return }
        let bucket = StatisticsLayout.bucket(nanoseconds: statistics.lastPause[name])
        let byte = StatisticsLayout.histogramOffset + part * Int(pageSize) + bucket * 4
        let word = StoreLayout.statistics.offset + UInt64(byte & ~7)
        let shift = UInt64(byte & 4) * 8
        let old = store.memory.load(word)
        let count = UInt32(truncatingIfNeeded: old >> shift) &+ 1
        store.memory.store(old & ~(0xFFFF_FFFF << shift) | UInt64(count) << shift, at: word)
    }

    mutating func noteBoot(restored: Bool, nanoseconds: UInt64) {
        if restored {
            add(.restores, 1)
            set(.restoreNanoseconds, nanoseconds)
        } else {
            set(.bootNanoseconds, nanoseconds)
        }
        set(.stopReason, 0)
    }

    /// Stops the machine with a named reason where the host can read it. Nothing more is written to
    /// the store.
    mutating func stop(_ error: StoreError) {
        var line = TextLine()
        line.append(error.reason)
        switch error {
        case .damagedRecord(let index):
            line.append(" (record ")
            line.append(UInt64(index))
            line.append(")")
        case .damagedPage(let owner, let page):
            line.append(" (page ")
            line.append(page)
            line.append(" of object ")
            line.append(UInt64(owner.index))
            line.append(")")
        case .damagedTable(let owner, let offset):
            line.append(" (object ")
            line.append(UInt64(owner.index))
            line.append(", offset 0x")
            line.append(hex: offset)
            line.append(")")
        default: break
        }
        stop(line, reason: 2)
    }

    mutating func stop(_ line: TextLine, reason: UInt64) {
        if isStopped { return }
        isStopped = true
        let base = StoreLayout.statistics.offset + UInt64(StatisticsLayout.messageOffset)
        var word: UInt64 = 0
        for index in 0..<256 {
            let byte: UInt8 = index < line.count ? line[index] : 0
            word |= UInt64(byte) << UInt64(index % 8 * 8)
            if index % 8 == 7 {
                store.memory.store(word, at: base + UInt64(index - 7))
                word = 0
            }
        }
        set(.stopReason, reason)
        line.write(to: machine)
        machine.debugWrite(10)
        for core in 0..<coreCount { cores[core].current = nil }
        machine.halt()
    }

    func text(_ reason: StaticString) -> TextLine {
        var line = TextLine()
        line.append(reason)
        return line
    }
}
