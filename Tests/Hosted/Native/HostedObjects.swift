import ABI
import CHosted
import Glibc

/// A PMO: a memfd, mapped in the server process.
final class HostedPMO {
    /// SEEK_DATA of lseek(2).
    private static let seekData: Int32 = 3
    let descriptor: Int32
    private(set) var pageCount: UInt64
    private(set) var base: UnsafeMutableRawPointer

    init?(pageCount: UInt64) {
        guard pageCount > 0, pageCount <= 1 << 28 else { return nil }
        descriptor = evertree_hosted_memfd()
        guard descriptor >= 0 else { return nil }
        guard ftruncate(descriptor, off_t(pageCount * pageSize)) == 0,
            let address = HostedPMO.map(descriptor, pageCount)
        else {
            close(descriptor)
            return nil
        }
        self.pageCount = pageCount
        base = address
    }

    deinit {
        munmap(base, Int(pageCount * pageSize))
        close(descriptor)
    }

    private static func map(_ descriptor: Int32, _ pages: UInt64) -> UnsafeMutableRawPointer? {
        let flags = MAP_SHARED | MAP_NORESERVE
        let address = mmap(nil, Int(pages * pageSize), PROT_READ | PROT_WRITE, flags, descriptor, 0)
        return address == MAP_FAILED ? nil : address
    }

    func resize(pageCount new: UInt64) -> Bool {
        guard new > 0, new <= 1 << 28, ftruncate(descriptor, off_t(new * pageSize)) == 0,
            let address = HostedPMO.map(descriptor, new)
        else { return false }
        munmap(base, Int(pageCount * pageSize))
        base = address
        pageCount = new
        return true
    }

    func decommit(first: UInt64, count: UInt64) -> Bool {
        evertree_hosted_punch(descriptor, first * pageSize, count * pageSize) == 0
    }

    /// Length of the absent bytes from a page-aligned offset on, up to `limit`.
    func hole(at offset: UInt64, limit: UInt64) -> UInt64 {
        let data = lseek(descriptor, off_t(offset), HostedPMO.seekData)
        if data < 0 { return limit }
        return min(limit, UInt64(data) - offset)
    }
}

/// A counting semaphore with a deadline.
final class HostedNotification {
    var count: UInt64 = 0
    let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init() {
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(condition, &attributes)
    }
}

/// A VM space: its regions, and a log of changed ranges from which each tracee brings itself up to
/// date.
final class HostedSpace {
    struct Region {
        var start: UInt64
        var end: UInt64
        var pmo: HostedPMO
        var offset: UInt64
        var protection: Protection
    }
    private(set) var regions: [Region] = []
    private(set) var changes: [Range<UInt64>] = []

    func firstIndex(endingAfter address: UInt64) -> Int {
        var low = 0
        var high = regions.count
        while low < high {
            let middle = (low + high) / 2
            if regions[middle].end <= address { low = middle + 1 } else { high = middle }
        }
        return low
    }

    /// Cuts a range out of the regions; returns what was there.
    @discardableResult
    func remove(_ start: UInt64, _ end: UInt64) -> [Region] {
        var index = firstIndex(endingAfter: start)
        var removed: [Region] = []
        while index < regions.count, regions[index].start < end {
            let old = regions.remove(at: index)
            removed.append(old.part(max(start, old.start), min(end, old.end)))
            if old.start < start {
                regions.insert(old.part(old.start, start), at: index)
                index += 1
            }
            if old.end > end { regions.insert(old.part(end, old.end), at: index) }
        }
        if !removed.isEmpty { changes.append(start..<end) }
        return removed
    }

    func insert(_ region: Region) {
        remove(region.start, region.end)
        regions.insert(region, at: firstIndex(endingAfter: region.start))
        changes.append(region.start..<region.end)
    }

    /// Where `address` lies in the server process, and how far that goes; nil when it is not mapped
    /// so.
    func locate(_ address: UInt64, needs: Protection) -> (UnsafeMutableRawPointer, UInt64)? {
        let index = firstIndex(endingAfter: address)
        guard index < regions.count, regions[index].start <= address,
            regions[index].protection.isSuperset(of: needs)
        else { return nil }
        let region = regions[index]
        let offset = region.offset + (address - region.start)
        let size = region.pmo.pageCount * pageSize
        guard offset < size else { return nil }
        return (region.pmo.base + Int(offset), min(region.end - address, size - offset))
    }
}

extension HostedSpace.Region {
    func part(_ from: UInt64, _ to: UInt64) -> HostedSpace.Region {
        HostedSpace.Region(
            start: from, end: to, pmo: pmo, offset: offset + (from - start), protection: protection)
    }
}

/// What a slot holds.
enum HostedObject {
    case other
    case pmo(HostedPMO)
    case space(HostedSpace)
    case notification(HostedNotification)
    case thread(HostedThread)
}
