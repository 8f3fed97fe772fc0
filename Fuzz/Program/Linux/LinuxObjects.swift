import ABI
import CFuzz
import Glibc

/// What the Linux server's slots hold on the stand-in machine.
enum LinuxObject {
    case other
    case pmo(LinuxPMO)
    case space(LinuxSpace)
    case notification(LinuxNotification)
    case thread(LinuxThread)
}

/// Frames for PMOs: zeroed pages from an arena that costs nothing before it is touched.
struct LinuxFrames {
    static let limit = 8192
    private let base: UnsafeMutableRawPointer
    private var fresh = 0
    private var free: [UnsafeMutableRawPointer] = []
    var used: Int { fresh - free.count }

    init() {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        let size = LinuxFrames.limit * Int(pageSize)
        guard let base = mmap(nil, size, PROT_READ | PROT_WRITE, flags, -1, 0), base != MAP_FAILED
        else { finding("no memory for the stand-in machine") }
        self.base = base
    }

    /// nil: the machine is full.
    mutating func take() -> UnsafeMutableRawPointer? {
        if let page = free.popLast() {
            memset(page, 0, Int(pageSize))
            return page
        }
        guard fresh < LinuxFrames.limit else { return nil }
        defer { fresh += 1 }
        return base + fresh * Int(pageSize)
    }

    mutating func give(_ page: UnsafeMutableRawPointer) { free.append(page) }
}

/// A PMO: pages that were touched.
final class LinuxPMO {
    var pageCount: UInt64
    var pages: [UInt64: UnsafeMutableRawPointer] = [:]
    /// Slot and regions; the pages go with the last one.
    var uses = 1
    /// A ring or the statistics page: its pages stand in the server's own memory from here on.
    var home: UnsafeMutableRawPointer?

    init(pageCount: UInt64) { self.pageCount = pageCount }
}

/// A VM space: sorted, disjoint regions.
final class LinuxSpace {
    struct Region {
        var start: UInt64
        var end: UInt64
        let pmo: LinuxPMO
        var offset: UInt64
        var protection: Protection

        func part(_ from: UInt64, _ to: UInt64) -> Region {
            Region(
                start: from, end: to, pmo: pmo, offset: offset + (from - start),
                protection: protection)
        }
    }
    var regions: [Region] = []

    func firstIndex(endingAfter address: UInt64) -> Int {
        var low = 0
        var high = regions.count
        while low < high {
            let middle = (low + high) / 2
            if regions[middle].end <= address { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func region(at address: UInt64) -> Region? {
        let index = firstIndex(endingAfter: address)
        return index < regions.count && regions[index].start <= address ? regions[index] : nil
    }
}

/// A counting semaphore and the threads that wait on it, in order.
final class LinuxNotification {
    var count: UInt64 = 0
    var waiters: [LinuxThread] = []
}

/// A server thread.
final class LinuxThread {
    enum State: Equatable {
        case ready
        case waiting(deadline: UInt64)
        /// Runs a guest, whose next event comes from the input.
        case guest
    }
    /// nil: the thread that booted, which is the harness's own.
    let coroutine: OpaquePointer?
    var state = State.ready
    /// What the native call that suspended it returns.
    var result: Int64 = 0
    var awaited: LinuxNotification?
    var isKicked = false
    /// The guest that it runs, while `state` is `guest`.
    var space: LinuxSpace?
    var restricted: UnsafeMutablePointer<RestrictedState>?
    var fpu = [UInt8](repeating: 0, count: 512)

    init(_ coroutine: OpaquePointer?) { self.coroutine = coroutine }
}
