import ABI
import CMachinePC

/// The pages that translations are made of. Bounded: when it is empty the kernel drops
/// translations, which are caches.
///
/// Invariants: a free page holds zeros but for its first word, which is the link of a list and looks
/// like an entry that is not present; a page given back is not reused before `releasePending`,
/// because the lists of writable entries may still point into it.
struct PagePool {
    /// Untouched pages: next and end, physical.
    private var next: UInt64
    private let end: UInt64
    /// Lists through the first word of each page; 0 ends them.
    private var free: UInt64 = 0
    private var pending: UInt64 = 0

    init(start: UInt64, byteCount: UInt64) {
        next = start
        end = start + byteCount
    }

    /// A page of zeros, by its physical address. Nil when the pool is empty.
    mutating func take() -> UInt64? {
        let page: UInt64
        if free != 0 {
            page = free
            free = Window.table(page)[0]
            Window.table(page)[0] = 0
        } else if next < end {
            page = next
            next += pageSize
            pc_zero_words(Window.address(page), pageSize / 8)
        } else {
            return nil
        }
        return page
    }

    /// Empties the page at once: no entry of a list that points into it leads anywhere any more.
    mutating func giveBack(_ page: UInt64) {
        pc_zero_words(Window.address(page), pageSize / 8)
        Window.table(page)[0] = pending
        pending = page
    }

    /// Nothing points into the pages given back any more.
    mutating func releasePending() {
        while pending != 0 {
            let page = pending
            pending = Window.table(page)[0]
            Window.table(page)[0] = free
            free = page
        }
    }
}

/// The tracked entries that were made writable since the last `revokeWrites`: address of the entry,
/// and the user address that it maps. An entry may since have changed or gone: its bits decide, and
/// its page is not reused.
struct WritableList {
    private let words: UnsafeMutablePointer<UInt64>
    let capacity: Int
    private(set) var count = 0

    init(storage: UnsafeMutablePointer<UInt64>, capacity: Int) {
        words = storage
        self.capacity = capacity
    }

    /// Returns false when the list is full.
    mutating func append(entry: UnsafeMutablePointer<UInt64>, address: UInt64) -> Bool {
        guard count < capacity else { return false }
        words[2 * count] = UInt64(UInt(bitPattern: entry))
        words[2 * count + 1] = address
        count += 1
        return true
    }

    func entry(_ index: Int) -> UnsafeMutablePointer<UInt64> { Window.words(words[2 * index]) }
    func address(_ index: Int) -> UInt64 { words[2 * index + 1] }
    mutating func removeAll() { count = 0 }

    /// Moves an entry forward in the list, which will end behind it or later.
    mutating func move(_ index: Int, to place: Int) {
        words[2 * place] = words[2 * index]
        words[2 * place + 1] = words[2 * index + 1]
    }
    mutating func truncate(_ length: Int) { count = length }
}
