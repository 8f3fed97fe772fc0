import ABI
import Machine
import Store

/// A machine without processors: the caller plays user code by setting registers and raising
/// events. Translations are dictionaries, so the caller can also read and write memory as user code
/// would, faults included. For tests of single native calls and for the fuzzers.
public struct CallMachine<Memory: PersistentMemory>: Machine {
    public struct Entry {
        public let frame: PageFrame
        public let writable: Bool
        public let tracked: Bool
        /// Written since it was made or last collected; counts for pages of memory.
        public fileprivate(set) var dirty = false
    }

    /// The volatile part, shared by all copies of the machine.
    public final class State {
        /// Nanoseconds since the machine started.
        public var time: UInt64 = 1000
        /// Entries by translation, then by page number.
        public fileprivate(set) var translations: [UInt64: [UInt64: Entry]] = [:]
        fileprivate var watched: WatchedPages?
        fileprivate var nextTranslation: UInt64 = 1
        /// Tracked writable entries installed since writes were last revoked.
        fileprivate var written: [(translation: UInt64, page: UInt64)] = []
        /// What was written to the debug port: at most the first 4,096 bytes.
        public fileprivate(set) var text = ""
        public fileprivate(set) var doorbells = 0
        public fileprivate(set) var isHalted = false
        public init() {}
    }

    public let nvm: Memory
    public let coreCount: Int
    public let state = State()

    public init(nvm: Memory, coreCount: Int) {
        self.nvm = nvm
        self.coreCount = coreCount
    }

    public func monotonicNanoseconds() -> UInt64 { state.time }
    public func wallClockNanoseconds() -> UInt64 { 1_700_000_000_000_000_000 &+ state.time }
    public func setTimer(core: Int, at deadlineNanoseconds: UInt64) {}
    public func interruptCore(_ core: Int) {}
    public func quiesceOtherCores(from core: Int) {}
    public func saveFloatingPoint(_ context: UnsafeMutablePointer<ThreadContext>) {}
    public func loadFloatingPoint(_ context: UnsafeMutablePointer<ThreadContext>) {}

    public func makeTranslation() -> Translation? {
        defer { state.nextTranslation += 1 }
        state.translations[state.nextTranslation] = [:]
        return Translation(state.nextTranslation)
    }

    public func dropTranslation(_ translation: Translation) {
        for page in (state.translations[translation.value] ?? [:]).keys {
            forget(translation.value, page)
        }
        state.translations[translation.value] = nil
    }

    public func install(
        _ translation: Translation, address: UserAddress, target: MappingTarget,
        protection: Protection,
        tracked: Bool
    ) -> Bool {
        let frame: PageFrame
        switch target {
        case .device: return true
        case .frame(let number): frame = PageFrame(number)
        case .memory(let page): frame = PageFrame(page)
        }
        forget(translation.value, address.pageNumber)
        let entry = Entry(frame: frame, writable: protection.contains(.write), tracked: tracked)
        if entry.writable && tracked {
            state.written.append((translation.value, address.pageNumber))
        }
        state.translations[translation.value]?[address.pageNumber] = entry
        return true
    }

    public func remove(
        _ translation: Translation, from address: UserAddress, pages: UInt64, core: Int
    ) {
        guard let entries = state.translations[translation.value] else { return }
        for page in entries.keys
        where page >= address.pageNumber && page - address.pageNumber < pages {
            forget(translation.value, page)
        }
    }

    /// Takes an entry away; what it knew goes into the page's bit.
    private func forget(_ translation: UInt64, _ page: UInt64) {
        if let entry = state.translations[translation]?[page] { note(entry) }
        state.translations[translation]?[page] = nil
    }

    private func note(_ entry: Entry) {
        guard entry.dirty, let page = entry.frame.memory, let watched = state.watched
        else { return }
        watched.noteWritten(watched.index(of: page))
    }

    /// What a processor notes when user code writes to a page.
    public func noteWrite(_ translation: Translation, address: UserAddress) {
        state.translations[translation.value]?[address.pageNumber]?.dirty = true
    }

    public func watch(_ pages: WatchedPages) { state.watched = pages }

    public func collectDirty() {
        if state.watched == nil { return }
        for (translation, entries) in state.translations {
            for (page, entry) in entries where entry.dirty {
                note(entry)
                state.translations[translation]?[page]?.dirty = false
            }
        }
    }

    public func lookUp(
        _ translation: Translation, address: UserAddress
    ) -> (frame: PageFrame, writable: Bool)? {
        guard let entry = state.translations[translation.value]?[address.pageNumber] else {
            return nil
        }
        return (entry.frame, entry.writable)
    }

    public func revokeWrites() {
        for (translation, page) in state.written {
            guard let entry = state.translations[translation]?[page], entry.tracked else {
                continue
            }
            state.translations[translation]?[page] = Entry(
                frame: entry.frame, writable: false, tracked: true)
        }
        state.written.removeAll(keepingCapacity: true)
    }

    public func ringDoorbell() { state.doorbells += 1 }
    public func unmask(line: UInt8) {}
    public func isDeviceMemory(_ physical: PhysicalAddress, byteCount: UInt64) -> Bool {
        physical.value >= 0xC000_0000 && physical.value + byteCount <= 0xD000_0000
    }
    public func debugWrite(_ byte: UInt8) {
        if state.text.utf8.count < 4096 { state.text.append(Character(UnicodeScalar(byte))) }
    }
    public func halt() { state.isHalted = true }
}
