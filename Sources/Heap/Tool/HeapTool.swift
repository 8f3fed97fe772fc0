import HeapCore

/// What `evertree heap` does: looks at a heap file without knowing the program that made it. The
/// heap carries the description of its types.
public struct HeapTool {
    public enum Command: String, CaseIterable, Sendable { case info, check, dump, gc }

    public let heap: PersistentHeap
    public let path: String

    /// Opens an existing heap, recovering it if its last program crashed. Fails if another process
    /// has it open.
    public init(path: String) throws {
        var options = HeapOptions()
        options.collectsAtOpen = false
        options.creates = false
        // The classes of native objects are in the program, not here.
        options.inspectsOnly = true
        self.path = path
        heap = try PersistentHeap(path: path, domain: .automatic, options: options)
    }

    /// Runs one command and hands each line of its answer to `print`.
    public static func run(_ command: Command, path: String, print: (String) -> Void) throws {
        let tool = try HeapTool(path: path)
        defer { tool.heap.close() }
        switch command {
        case .info: try tool.info(print)
        case .check: try tool.check(print)
        case .dump: try tool.dump(print)
        case .gc: try tool.collect(print)
        }
    }

    private func info(_ print: (String) -> Void) throws {
        let description = heap.fileDescription
        print("file        \(path)")
        print("identifier  \(description.identifier)")
        print("format      \(description.version)")
        print(
            "size        \(description.committedBytes) bytes, arenas of \(description.arenaBytes)")
        print("opened      \(description.openCount) times")
        print("domain      \(heap.domain): survives \(heap.domain.survives)")
        print(
            "recovery    \(heap.recovery.replayedTransactions) transactions replayed, "
                + "\(heap.recovery.undoneRanges) ranges undone")
        for root in try heap.rootNames() { print("root        \(root.name): \(root.type)") }
        for type in heap.storedTypes {
            print("type \(type.number)      \(type.name) {\(type.fields)}")
        }
    }

    private func check(_ print: (String) -> Void) throws {
        let statistics = try heap.checkInvariants()
        print("ok: \(statistics.liveObjects) objects, \(statistics.liveBytes) bytes reachable")
        printUse(statistics, print)
        for type in statistics.types {
            print("\(type.objects) × \(type.name): \(type.bytes) bytes")
        }
    }

    private func printUse(_ statistics: HeapStatistics, _ print: (String) -> Void) {
        print(
            "\(statistics.freePages) of \(statistics.pages) pages free, longest free run "
                + "\(statistics.longestFreeRun) pages; "
                + "\(Int(statistics.fragmentation * 100)) % of the used pages holds nothing reachable"
        )
    }

    private func dump(_ print: (String) -> Void) throws {
        try heap.forEachReachableObject { object in
            let address = "0x" + String(object.offset, radix: 16)
            print("\(address) \(object.type), \(object.bytes) bytes")
            for field in object.fields {
                print("    \(field.name): \(field.type) = \(field.value)")
            }
        }
    }

    private func collect(_ print: (String) -> Void) throws {
        let progress = heap.collect()
        print(
            "\(progress.markedObjects) objects reachable, \(progress.liveBytes) bytes; "
                + "\(progress.freedPages) pages freed")
        printUse(try heap.checkInvariants(), print)
    }
}
