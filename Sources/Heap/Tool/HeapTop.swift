import HeapCore

/// `evertree heap top`: which types take how much of a heap's file, and which grow.
///
/// Pages are read from the file, also beside a program that has the heap open. What lives in them is
/// known only if no program has: then objects, live bytes and the unused part are told as well.
public struct HeapTop {
    private let path: String
    private var last: HeapSample?

    public init(path: String) { self.path = path }

    /// Takes a sample and prints it, with growth since the one before.
    public mutating func sample(_ print: (String) -> Void) throws {
        let live = try liveUse()
        let now = try HeapSample(path: path)
        let used = (now.pages - now.freePages) * 8192
        print(
            "\(now.committedBytes) bytes, \(now.freePages) of \(now.pages) pages free, "
                + "\(used) bytes in use" + growth(now.committedBytes, last?.committedBytes))
        print("     bytes  share     growth    objects  unused  type")
        let order = now.types.sorted { ($1.value.bytes, $0.key) < ($0.value.bytes, $1.key) }
        for (number, use) in order {
            let before = last.map { $0.types[number]?.bytes ?? 0 }
            print(line(use, of: used, before, live?[use.name]))
        }
        if live == nil { print("(open in another program: what lives in the pages is not known)") }
        last = now
    }

    private func line(_ use: HeapSample.Use, of used: UInt64, _ before: UInt64?, _ live: TypeUsage?)
        -> String
    {
        let share = used == 0 ? 0 : use.bytes * 100 / used
        let grown = before.map { difference(use.bytes, $0) } ?? "-"
        let objects = live.map { "\($0.objects)" } ?? "-"
        let unused = live.map { live in
            let bytes = UInt64(live.bytes)
            return "\(use.bytes > bytes ? (use.bytes - bytes) * 100 / use.bytes : 0) %"
        }
        return [
            pad("\(use.bytes)", 10), pad("\(share) %", 7), pad(grown, 11), pad(objects, 11),
            pad(unused ?? "-", 8), "  \(use.name)",
        ].joined()
    }

    private func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(1, width - text.count)) + text
    }

    private func difference(_ now: UInt64, _ before: UInt64) -> String {
        now >= before ? "+\(now - before)" : "-\(before - now)"
    }

    private func growth(_ now: UInt64, _ before: UInt64?) -> String {
        before.map { ", \(difference(now, $0)) since" } ?? ""
    }

    /// What is reachable, by the name of the type; nil while another program has the heap.
    private func liveUse() throws -> [String: TypeUsage]? {
        let tool: HeapTool
        do { tool = try HeapTool(path: path) } catch PersistentMemoryError.alreadyOpen {
            return nil
        }
        defer { tool.heap.close() }
        let builtIn = [
            "(bytes)": "(strings and logs)", "(type record)": "(type records)",
            "(root record)": "(root records)",
        ]
        let types = try tool.heap.statistics().types.map { (builtIn[$0.name] ?? $0.name, $0) }
        return Dictionary(types) { first, _ in first }
    }
}
