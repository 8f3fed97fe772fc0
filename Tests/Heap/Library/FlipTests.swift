import Foundation
import PersistentHeap
import Testing

@Persistent struct FlipRecord {
    var name: PString
    var tags: PArray<PString>
    var next: PRef<FlipRecord>?
    var number: Int
}

@Persistent struct FlipRoot {
    var records: PDictionary<PString, PRef<FlipRecord>>
    var first: PRef<FlipRecord>?
}

/// A heap is closed, one bit of its file is flipped, and a process of its own opens it, walks and
/// changes all of it. It may notice nothing; if it ends otherwise, then by an error or a message
/// that names the file: not by a signal without a word, a hang, or a huge allocation.
@Suite struct FlipTests {
    enum Outcome: String { case unnoticed, thrown, named, unnamed, hung }

    /// FLIPS=3000 FLIPS_SEED=2: more, and others.
    @Test func noFlippedBitEndsWithoutAName() async {
        await #expect(processExitsWith: .success) {
            let environment = ProcessInfo.processInfo.environment
            let count = environment["FLIPS"].flatMap { Int($0) } ?? 300
            let seed = environment["FLIPS_SEED"].flatMap { UInt64($0) } ?? 1
            let file = TemporaryHeap()
            try FlipTests.makeHeap(file.path)
            let clean = try Data(contentsOf: URL(fileURLWithPath: file.path))
            var random = SplitMix64(seed: seed)
            var counts: [Outcome: Int] = [:]
            for number in 0..<count {
                var data = clean
                // Every other flip where something is: most of a file is free pages.
                var byte = Int(random.next() % UInt64(data.count))
                while number % 2 == 0, data[byte] == 0 {
                    byte = Int(random.next() % UInt64(data.count))
                }
                let bit = UInt8(1) << UInt8(random.next() % 8)
                data[byte] ^= bit
                try data.write(to: URL(fileURLWithPath: file.path))
                let (outcome, text) = FlipTests.inChild(file.path)
                counts[outcome, default: 0] += 1
                if outcome == .unnamed || outcome == .hung {
                    print("bit \(bit) of byte \(byte): \(outcome)\n\(text.prefix(600))")
                }
            }
            print("flips: \(counts)")
            try? FileManager.default.removeItem(atPath: file.path)
            exit(counts[.unnamed] == nil && counts[.hung] == nil ? 0 : 1)
        }
    }

    static let options: HeapOptions = {
        var options = HeapOptions()
        options.arenaShift = 19
        options.initialSize = 1 << 18
        options.laneCount = 3
        options.maximumSize = 1 << 30
        options.collectsAtOpen = false
        return options
    }()

    static func makeHeap(_ path: String) throws {
        let heap = try PersistentHeap(path: path, domain: .processCrash, options: options)
        let root = try heap.root(named: "flips", as: FlipRoot.self) {
            FlipRoot(records: PDictionary(), first: nil)
        }
        try heap.transaction { tx in
            for number in 0..<1500 {
                let record = try tx.new(
                    FlipRecord(
                        name: tx.string("record \(number) with a long name"), tags: PArray(),
                        next: tx.edit(root).first, number: number))
                for tag in 0..<(number % 5) {
                    let text = String(repeating: "tag \(tag) ", count: number % 7)
                    try tx.edit(record).tags.append(tx.string(text))
                }
                tx.edit(root).first = record
                try tx.edit(root).records.updateValue(record, forKey: tx.string("key \(number)"))
            }
        }
        heap.close()
    }

    /// What a program does with a heap. Throws what the heap throws.
    static func use(_ path: String) throws {
        let heap = try PersistentHeap(path: path, domain: .processCrash, options: options)
        guard let root = try heap.root(named: "flips", as: FlipRoot.self) else { return }
        var bytes = 0
        func read(_ reference: PRef<FlipRecord>) {
            let record = heap[reference]
            bytes += record.name.string(in: heap).utf8.count
            for tag in record.tags.elements(in: heap) { bytes += tag.string(in: heap).utf8.count }
        }
        heap[root].records.forEach(in: heap) { key, reference in
            bytes += key.string(in: heap).utf8.count
            read(reference)
        }
        var next = heap[root].first
        var steps = 0
        while let record = next, steps < 10_000 {
            read(record)
            next = heap[record].next
            steps += 1
        }
        heap.collect()
        try heap.transaction(.undo) { tx in
            for number in stride(from: 0, to: 1500, by: 97) {
                let edit = tx.edit(root)
                let key = try tx.string("key \(number)")
                if let record = edit.records[key] {
                    try tx.edit(record).tags.append(tx.string("a tag that is a little longer"))
                    tx.free(tx[record].name)
                    tx.edit(record).name = try tx.string("renamed, to something long")
                }
                edit.records.removeValue(forKey: key)
            }
        }
        for number in 0..<200 {
            try heap.transaction { tx in
                let record = try tx.new(
                    FlipRecord(name: PString(), tags: PArray(), next: nil, number: number))
                let key = try tx.string("new \(number)")
                try tx.edit(root).records.updateValue(record, forKey: key)
            }
        }
        try heap.checkInvariants()
        heap.close()
    }

    /// Runs `use` in a forked process with little memory and time.
    static func inChild(_ path: String) -> (Outcome, String) {
        typealias Fork = @convention(c) () -> Int32
        guard let symbol = dlsym(nil, "fork") else { return (.unnamed, "no fork") }
        let log = path + ".log"
        let child = unsafeBitCast(symbol, to: Fork.self)()
        if child == 0 {
            for number in [SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT, SIGFPE] {
                signal(number, SIG_DFL)
            }
            let descriptor = open(log, O_RDWR | O_CREAT | O_TRUNC, 0o600)
            dup2(descriptor, 2)
            var limit = rlimit(rlim_cur: 64 << 30, rlim_max: 64 << 30)
            setrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit)
            alarm(30)
            do { try use(path) } catch {
                let text = Array("\(error)\n".utf8)
                _ = write(2, text, text.count)
                _exit(3)
            }
            _exit(0)
        }
        var status: Int32 = 0
        waitpid(child, &status, 0)
        defer { unlink(log) }
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        if status == 0 { return (.unnoticed, text) }
        if status & 0x7F == SIGALRM { return (.hung, text) }
        if status & 0x7F == 0, status >> 8 == 3 { return (.thrown, text) }
        return (text.contains(path) ? .named : .unnamed, "status \(status): \(text)")
    }
}
