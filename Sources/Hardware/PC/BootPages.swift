import ABI
import CMachinePC

/// The largest free piece of DRAM below 4 GiB, handed out page by page while the machine starts.
///
/// Only the low 4 GiB: the first page tables reach no further, and the kernel's own memory (heap
/// and page tables) is small. Everything that users own lies in NVM.
struct BootPages {
    private var next: UInt64
    private let end: UInt64

    /// Nil if there is no free piece of at least 16 MiB.
    init?(_ info: StartInfo) {
        var best = StartInfo.Range(start: 0, end: 0)
        let taken: InlineArray<2, StartInfo.Range> = [
            StartInfo.Range(start: 0, end: Window.physical(pc_image_end_address())),
            info.bundle,
        ]
        info.forEachMemoryRange { range in
            var piece = range
            piece.end = min(piece.end, BootMemory.limit)
            for index in 0..<2 {
                piece = Self.largerPart(of: piece, without: taken[index])
            }
            if piece.byteCount > best.byteCount { best = piece }
        }
        next = (best.start + pageSize - 1) & ~(pageSize - 1)
        end = best.end & ~(pageSize - 1)
        guard end > next, end - next >= 16 << 20 else { return nil }
    }

    /// What is left of `range` before or behind `hole`, whichever is larger.
    private static func largerPart(of range: StartInfo.Range, without hole: StartInfo.Range)
        -> StartInfo.Range
    {
        guard hole.start < range.end, hole.end > range.start else { return range }
        let before = StartInfo.Range(start: range.start, end: min(hole.start, range.end))
        let behind = StartInfo.Range(start: max(hole.end, range.start), end: range.end)
        return before.byteCount >= behind.byteCount ? before : behind
    }

    var byteCount: UInt64 { end - next }

    /// Physical address of a fresh page, filled with zeros. Nil when nothing is left.
    mutating func takePage() -> UInt64? {
        guard let page = take(bytes: pageSize) else { return nil }
        pc_zero_words(Window.address(page), pageSize / 8)
        return page
    }

    /// Physical address of a range of whole pages, not cleared.
    mutating func take(bytes: UInt64) -> UInt64? {
        let rounded = (bytes + pageSize - 1) & ~(pageSize - 1)
        guard rounded <= end - next else { return nil }
        defer { next += rounded }
        return next
    }
}
