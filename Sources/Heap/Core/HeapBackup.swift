import CPersistentMemory
import Glibc
import PersistentMemory
import Synchronization

/// Pages of 4 KiB that transactions changed while a backup is made, by number.
struct BackupPages {
    var pages: Set<UInt64> = []
    /// Stores that no log names were made: anything may have changed.
    var isUnknown = false

    mutating func insert(_ offset: UInt64, _ length: Int) {
        guard length > 0 else { return }
        for page in offset >> 12...(offset + UInt64(length) - 1) >> 12 { pages.insert(page) }
    }
}

/// What a backup took.
public struct BackupSummary: Sendable, Equatable {
    /// Size of the copy; zeros take no space on disk.
    public var bytes: UInt64 = 0
    /// Pages of 4 KiB that were copied again because they changed meanwhile.
    public var pagesCopiedAgain = 0
    /// How long transactions stood still for the last part.
    public var pauseNanoseconds: UInt64 = 0
}

extension PersistentHeap {
    /// Copies the heap to another file while transactions go on.
    ///
    /// The copy is a heap as it was between two transactions, at an instant before this call
    /// returns; it opens like any other, and has this heap's identifier. Everything is copied
    /// first; then, a few times, what changed meanwhile; transactions stand still for the last,
    /// small rest only. The file appears under its name when it is whole and on its disk; one that
    /// is there is replaced then.
    ///
    /// Throws `backupRuns` if one runs already, and what the file system says. Not to be called
    /// inside a transaction.
    @discardableResult
    public func backup(to path: String) throws -> BackupSummary {
        let isFirst = changedPages.withLock { pages in
            guard pages == nil else { return false }
            pages = BackupPages()
            return true
        }
        guard isFirst else { throw HeapError.backupRuns }
        setObserver(TransactionObserver.backup, true)
        defer {
            setObserver(TransactionObserver.backup, false)
            changedPages.withLock { $0 = nil }
        }
        var pass = try BackupPass(self, path: path)
        return try pass.run()
    }

    /// Notes what a transaction stored, or stored and took back.
    func noteForBackup(_ lane: LogLane) {
        changedPages.withLock { pages in
            let state = lane.state.pointee
            for index in 0..<state.words.count { pages?.insert(state.words[index].offset, 8) }
            for index in 0..<state.ranges.count {
                pages?.insert(state.ranges[index].offset, state.ranges[index].length)
            }
            for index in 0..<state.fresh.count {
                pages?.insert(state.fresh[index].offset, state.fresh[index].length)
            }
        }
    }

    /// Notes that stores were made that no log names.
    func noteUnknownForBackup() {
        if state.pointee.observers & TransactionObserver.backup != 0 {
            changedPages.withLock { $0?.isUnknown = true }
        }
    }

    /// Ranges that the heap itself changes outside of transactions' ranges: headers, span tables,
    /// anchor and lanes, type records.
    var bookkeepingRanges: [Range<UInt64>] {
        let allocator = state.pointee.allocator
        var ranges: [Range<UInt64>] = []
        for arena in 0..<allocator.arenaCount {
            let first = geometry.firstPage(ofArena: arena)
            let start = arena << geometry.arenaShift
            ranges.append(start..<first << HeapFormat.pageShift)
            for page in first..<(arena + 1) * geometry.pagesPerArena
            where allocator.span(page).isCells
                && allocator.span(page).type == TypeRecord.typeNumber
            {
                let offset = page << HeapFormat.pageShift
                ranges.append(offset..<offset + HeapFormat.pageBytes)
            }
        }
        return ranges
    }
}

/// One backup. Invariant: of each page the copy holds what it held when the last pass ended, or the
/// page is among `changedPages`.
struct BackupPass {
    private static let chunk: UInt64 = 1 << 20
    /// So many changed pages may be left for the pause, and so many passes try to get there.
    private static let pagesInPause = 256
    private static let passLimit = 8

    private let heap: PersistentHeap
    private let path: String
    private let partial: String
    private let descriptor: Int32
    private var summary = BackupSummary()

    init(_ heap: PersistentHeap, path: String) throws {
        self.heap = heap
        self.path = path
        partial = path + ".partial"
        descriptor = open(partial, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure("open", partial) }
    }

    private static func failure(_ call: String, _ path: String) -> PersistentMemoryError {
        .system(call: call, path: path, code: errno)
    }

    mutating func run() throws -> BackupSummary {
        do {
            try copyAll()
            try copyRest()
            guard fsync(descriptor) == 0 else { throw Self.failure("fsync", partial) }
            guard rename(partial, path) == 0 else { throw Self.failure("rename", path) }
            try syncFolder()
        } catch {
            close(descriptor)
            unlink(partial)
            throw error
        }
        close(descriptor)
        return summary
    }

    private mutating func copyAll() throws {
        let end = heap.committedBytes
        guard ftruncate(descriptor, off_t(end)) == 0 else {
            throw Self.failure("ftruncate", partial)
        }
        try copy(0..<end, skippingZeros: true)
        for _ in 0..<Self.passLimit {
            let changed = takeChanged()
            guard !changed.isUnknown else { return markUnknown() }
            try copyAgain(changed.pages)
            if changed.pages.count <= Self.pagesInPause { return }
        }
    }

    private func takeChanged() -> BackupPages {
        heap.changedPages.withLock { pages in
            defer { pages = BackupPages(pages: [], isUnknown: false) }
            return pages ?? BackupPages()
        }
    }

    private func markUnknown() { heap.changedPages.withLock { $0?.isUnknown = true } }

    /// With transactions stopped: logs are emptied, so that the copy needs no recovery, and the last
    /// changes and the heap's own records are copied.
    private mutating func copyRest() throws {
        var result = Result<Void, any Error> { () }
        let begin = ContinuousClock.now
        heap.stopTransactions {
            result = Result {
                for lane in heap.lanes { lane.retire() }
                summary.bytes = heap.committedBytes
                guard ftruncate(descriptor, off_t(summary.bytes)) == 0 else {
                    throw Self.failure("ftruncate", partial)
                }
                let changed = takeChanged()
                if changed.isUnknown { return try copy(0..<summary.bytes, skippingZeros: false) }
                try copyAgain(changed.pages)
                for range in heap.bookkeepingRanges { try copy(range, skippingZeros: false) }
            }
        }
        let pause = begin.duration(to: .now).components
        summary.pauseNanoseconds =
            UInt64(pause.seconds) * 1_000_000_000 + UInt64(pause.attoseconds / 1_000_000_000)
        try result.get()
    }

    private mutating func copyAgain(_ pages: Set<UInt64>) throws {
        summary.pagesCopiedAgain += pages.count
        for page in pages.sorted() { try copy(page << 12..<(page + 1) << 12, skippingZeros: false) }
    }

    private func copy(_ range: Range<UInt64>, skippingZeros: Bool) throws {
        var at = range.lowerBound
        while at < range.upperBound {
            let length = Int(min(Self.chunk, range.upperBound - at))
            let source = UnsafeRawBufferPointer(start: heap.base + Int(at), count: length)
            if !skippingZeros || !source.allSatisfyZero { try write(source, at: at) }
            at += UInt64(length)
        }
    }

    private func write(_ bytes: UnsafeRawBufferPointer, at offset: UInt64) throws {
        var done = 0
        while done < bytes.count {
            let rest = UnsafeRawBufferPointer(rebasing: bytes[done...])
            let count = pwrite(
                descriptor, rest.baseAddress, rest.count, off_t(offset) + off_t(done))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure("pwrite", partial) }
            done += count
        }
    }

    private func syncFolder() throws {
        let folder = path.lastIndex(of: "/").map { String(path[...$0]) } ?? "."
        let handle = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard handle >= 0 else { throw Self.failure("open", folder) }
        defer { close(handle) }
        guard fsync(handle) == 0 else { throw Self.failure("fsync", folder) }
    }
}

extension UnsafeRawBufferPointer {
    /// Whether all bytes, a multiple of eight, are zero.
    fileprivate var allSatisfyZero: Bool {
        bindMemory(to: UInt64.self).allSatisfy { $0 == 0 }
    }
}
