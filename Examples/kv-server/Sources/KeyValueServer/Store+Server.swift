import Glibc
import PersistentHeap

/// The server itself: connection, configuration, statistics.
extension Store {
    func ping(_ request: Request, _ reply: inout Reply) throws {
        guard request.count <= 2 else { throw Refusal.arity("ping") }
        if request.count == 2 { reply.bulk(request[1]) } else { reply.simple("PONG") }
    }

    /// There is one database.
    func select(_ request: Request, _ reply: inout Reply) throws {
        guard try request.integer(1) == 0 else { throw Refusal("ERR DB index is out of range") }
        reply.ok()
    }

    /// Clients ask for the commands to help their user type; they do without.
    func command(_ request: Request, _ reply: inout Reply) {
        if request.count > 1, request.isOption(1, "COUNT") {
            reply.integer(commands.count)
        } else {
            reply.array(0)
        }
    }

    func config(_ request: Request, _ reply: inout Reply) throws {
        if request.isOption(1, "GET"), request.count > 2 {
            let known = [
                ("save", ""), ("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory", "0"),
            ]
            let found = known.filter { entry in
                (2..<request.count).contains { index in
                    entry.0.utf8.withContiguousStorageIfAvailable {
                        Glob.matches(pattern: request[index], UnsafeRawBufferPointer($0))
                    } ?? false
                }
            }
            reply.array(found.count * 2)
            for (name, value) in found {
                reply.bulk(name)
                reply.bulk(value)
            }
        } else if request.isOption(1, "SET") || request.isOption(1, "RESETSTAT") {
            reply.ok()
        } else {
            throw Refusal("ERR unknown subcommand '\(request.text(1))'. Try CONFIG HELP.")
        }
    }

    func client(_ request: Request, _ reply: inout Reply) {
        if request.isOption(1, "ID") {
            reply.integer(1)
        } else if request.isOption(1, "GETNAME") {
            reply.null()
        } else {
            reply.ok()
        }
    }

    func info(_ tx: borrowing Transaction, _ reply: inout Reply) {
        let count = tx.edit(root).items.count
        let expiring = RankedTree.count(tx.edit(root).expiries, tx)
        reply.bulk(
            """
            # Server\r
            redis_version:7.0.0\r
            redis_mode:standalone\r
            process_id:\(getpid())\r
            uptime_in_seconds:\((now - started) / 1000)\r
            # Persistence\r
            heap_domain:\(heap.domain)\r
            heap_bytes:\(heap.committedBytes)\r
            heap_replayed_transactions:\(heap.recovery.replayedTransactions)\r
            # Stats\r
            total_commands_processed:\(commandsRun)\r
            # Keyspace\r
            db0:keys=\(count),expires=\(expiring),avg_ttl=0\r

            """)
    }

    func flushAll(_ request: Request, _ tx: borrowing Transaction, _ reply: inout Reply) throws {
        let hasMode =
            request.count == 2 && (request.isOption(1, "ASYNC") || request.isOption(1, "SYNC"))
        guard request.count == 1 || hasMode else { throw Refusal.syntax }
        let edit = tx.edit(root)
        edit.items.removeAll()
        edit.expiries = nil
        wantsCollection = true
        reply.ok()
    }
}

/// Shell-like patterns: `*`, `?`, `[a-z]`, `[^x]`, and `\` before a character that stands for
/// itself.
enum Glob {
    static func matches(pattern: UnsafeRawBufferPointer, _ text: UnsafeRawBufferPointer) -> Bool {
        var (p, t) = (0, 0)
        // Where to go on when the rest does not match: behind the last star, one character further.
        var retry: (pattern: Int, text: Int)?
        while t < text.count {
            if p < pattern.count, pattern[p] == UInt8(ascii: "*") {
                retry = (p + 1, t)
                p += 1
            } else if let end = matchOne(pattern, p, text[t]) {
                p = end
                t += 1
            } else if let again = retry {
                retry = (again.pattern, again.text + 1)
                (p, t) = (again.pattern, again.text + 1)
            } else {
                return false
            }
        }
        while p < pattern.count, pattern[p] == UInt8(ascii: "*") { p += 1 }
        return p == pattern.count
    }

    /// The position behind the one-character pattern at `start` if it matches; nil if not.
    private static func matchOne(_ pattern: UnsafeRawBufferPointer, _ start: Int, _ byte: UInt8)
        -> Int?
    {
        guard start < pattern.count else { return nil }
        switch pattern[start] {
        case UInt8(ascii: "?"): return start + 1
        case UInt8(ascii: "["): return matchSet(pattern, start + 1, byte)
        case UInt8(ascii: "\\") where start + 1 < pattern.count:
            return pattern[start + 1] == byte ? start + 2 : nil
        default: return pattern[start] == byte ? start + 1 : nil
        }
    }

    private static func matchSet(_ pattern: UnsafeRawBufferPointer, _ start: Int, _ byte: UInt8)
        -> Int?
    {
        var at = start
        let isNegated = at < pattern.count && pattern[at] == UInt8(ascii: "^")
        if isNegated { at += 1 }
        var found = false
        while at < pattern.count, pattern[at] != UInt8(ascii: "]") {
            if pattern[at] == UInt8(ascii: "\\"), at + 1 < pattern.count {
                found = found || pattern[at + 1] == byte
                at += 2
            } else if at + 2 < pattern.count, pattern[at + 1] == UInt8(ascii: "-") {
                let ends = (min(pattern[at], pattern[at + 2]), max(pattern[at], pattern[at + 2]))
                found = found || (ends.0...ends.1).contains(byte)
                at += 3
            } else {
                found = found || pattern[at] == byte
                at += 1
            }
        }
        return found != isNegated ? min(at + 1, pattern.count) : nil
    }
}
