import CObjectSpace
import CPersistentMemory
import Glibc

/// The processes that have a space open, and the locks between them.
///
/// A file of shared words. Each member keeps the kernel's lock on the byte that is its own, which
/// the kernel gives back when the process dies, however it dies. A lock word holds the stamp of its
/// holder, a generation that is never used again and the member's number. A stamp whose byte nobody
/// holds is of a dead member, so its lock may be taken: nothing has to be cleaned up after a kill or
/// a power cut, and nobody is blocked by one.
///
/// Readers count themselves in their member's line; a writer that publishes says so first and waits
/// for the counts of those who live. One of the two sees the other, since both store before they
/// load.
package final class Members: @unchecked Sendable {
    enum Place: Int {
        case writer = 8
        case publishing = 16
        case directory = 24
        /// The stamp of the member that committed last.
        case lastWriter = 32
        case generation = 40
        /// How often table entries were given back.
        case reclaims = 48
    }

    static let most = 255
    static let bytes = (most + 1) * 64 + 4096
    /// The byte whose lock is held while joining and leaving.
    private static let joining: Int64 = 4096

    private let words: UnsafeMutablePointer<UInt64>
    private let descriptor: Int32
    private let number: Int
    let stamp: UInt64
    /// Nobody else had the space open at the time of joining.
    let isFirst: Bool

    /// Joins. The lock on joining is kept until `welcome`, so that the first member can recover.
    init(path: String) throws(ObjectError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .system(call: "open", path: path, code: errno) }
        func fail(_ call: String, _ code: Int32) -> ObjectError {
            _ = Glibc.close(descriptor)
            return .system(call: call, path: path, code: code)
        }
        let code = os_lock_byte(descriptor, Self.joining, 1)
        guard code == 0 else { throw fail("fcntl", code) }
        guard ftruncate(descriptor, off_t(Self.bytes)) == 0 else { throw fail("ftruncate", errno) }
        guard
            let at = mmap(
                nil, Self.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0),
            at != MAP_FAILED
        else { throw fail("mmap", errno) }
        words = at.assumingMemoryBound(to: UInt64.self)
        self.descriptor = descriptor
        isFirst = os_is_locked(descriptor, 0, Int64(Self.most)) == 0
        if isFirst {
            for index in 0..<Self.bytes / 8 where index != Place.generation.rawValue {
                words[index] = 0
            }
        }
        guard let free = (0..<Self.most).first(where: { os_lock_byte(descriptor, Int64($0), 0) == 0 })
        else { throw fail("joining the space", EAGAIN) }
        number = free
        let generation = os_add(words + Place.generation.rawValue, 1) + 1
        stamp = generation << 8 | UInt64(free)
        os_store(Self.line(words, free) + 1, 0)
        os_store(Self.line(words, free), stamp)
    }

    func welcome() { _ = os_unlock_byte(descriptor, Self.joining) }

    private static func line(_ words: UnsafeMutablePointer<UInt64>, _ number: Int)
        -> UnsafeMutablePointer<UInt64>
    { words + 512 + number * 8 }

    deinit {
        munmap(words, Self.bytes)
        _ = Glibc.close(descriptor)
    }

    /// Leaves. `last` is called if nobody else has the space open.
    func leave(last: () -> Void) {
        _ = os_lock_byte(descriptor, Self.joining, 1)
        if os_is_locked(descriptor, 0, Int64(Self.most)) == 0 { last() }
        _ = os_unlock_byte(descriptor, Int64(number))
        welcome()
    }

    subscript(_ place: Place) -> UInt64 {
        get { os_load(words + place.rawValue) }
        set { os_store(words + place.rawValue, newValue) }
    }

    func isAlive(_ stamp: UInt64) -> Bool {
        if stamp == self.stamp { return true }
        let number = Int(stamp & 255)
        return number < Self.most && os_load(Self.line(words, number)) == stamp
            && os_is_locked(descriptor, Int64(number), 1) == 1
    }

    // MARK: Locks

    /// Waits for a lock. Returns whether its last holder died with it.
    @discardableResult
    func take(_ place: Place) -> Bool {
        var wait = Backoff()
        while true {
            let holder = self[place]
            if holder == 0 {
                if os_exchange_if(words + place.rawValue, 0, stamp) != 0 { return false }
            } else if wait.isLong, !isAlive(holder) {
                if os_exchange_if(words + place.rawValue, holder, stamp) != 0 { return true }
            }
            wait.wait()
        }
    }

    func give(_ place: Place) { self[place] = 0 }

    // MARK: Readers

    private var readers: UnsafeMutablePointer<UInt64> { Self.line(words, number) + 1 }

    /// Counts one reader in. `recover` is called when a writer died while it published.
    func enter(recover: () throws -> Void) rethrows {
        while true {
            _ = os_add(readers, 1)
            if self[.publishing] == 0 { return }
            leaveReading()
            var wait = Backoff()
            while true {
                let writer = self[.publishing]
                if writer == 0 { break }
                if wait.isLong, !isAlive(writer) {
                    try recover()
                    break
                }
                wait.wait()
            }
        }
    }

    func leaveReading() { _ = os_add(readers, ~0) }

    /// Keeps readers out, and waits for those who are in.
    func publish() {
        self[.publishing] = stamp
        for number in 0..<Self.most {
            let line = Self.line(words, number)
            var wait = Backoff()
            while os_load(line + 1) != 0 {
                let member = os_load(line)
                if wait.isLong, !isAlive(member) { break }
                wait.wait()
            }
        }
    }

    func unpublish() { self[.publishing] = 0 }
}

/// Waits a little longer each time.
struct Backoff {
    private var rounds = 0
    /// Long enough to ask the kernel whether the other one lives.
    var isLong: Bool { rounds > 64 }

    mutating func wait() {
        rounds += 1
        if rounds <= 64 {
            sched_yield()
        } else {
            usleep(rounds < 256 ? 50 : 500)
        }
    }
}
