/// Where a word of a command lies, counted from the first unread byte of its connection.
struct Word {
    var start: Int
    var count: Int
}

/// Takes commands apart: arrays of bulk strings, or one line of words ("inline"). Goes on where it
/// stopped when more bytes have come, so a command that arrives in pieces is read once.
///
/// Protocol: https://redis.io/docs/latest/develop/reference/protocol-spec/
struct CommandParser {
    static let longestBulk = 512 << 20
    static let longestLine = 64 << 10
    static let mostWords = Int(Int32.max)

    /// A protocol error: it is answered, and the connection closed.
    struct Problem: Error { let message: String }

    /// Words of all complete commands, then those of the command that is still arriving.
    private(set) var words: [Word] = []
    /// First and count of each complete command's words.
    private(set) var commands: [Range<Int>] = []
    private var position = 0
    /// Words still to come of the running array; nil between commands.
    private var missing: Int?
    private var first = 0
    /// Bytes up to here belong to complete commands.
    private(set) var consumed = 0

    /// Reads as many commands as are there, at most `limit` in all.
    mutating func parse(_ bytes: UnsafeRawBufferPointer, limit: Int) throws(Problem) {
        while commands.count < limit {
            if missing == nil {
                guard position < bytes.count else { return }
                if bytes[position] != UInt8(ascii: "*") {
                    guard try parseInline(bytes) else { return }
                    continue
                }
                guard let count = try number(bytes, "invalid multibulk length") else { return }
                guard count <= Self.mostWords else {
                    throw Problem(message: "invalid multibulk length")
                }
                missing = max(0, count)
            }
            guard try parseWords(bytes) else { return }
            finishCommand()
        }
    }

    /// Forgets the complete commands after their bytes have been dropped.
    mutating func dropConsumed() {
        if words.count == first {
            words.removeAll(keepingCapacity: true)
        } else {
            words.removeSubrange(0..<first)
            for index in words.indices { words[index].start -= consumed }
        }
        position -= consumed
        consumed = 0
        first = 0
        commands.removeAll(keepingCapacity: true)
    }

    private mutating func finishCommand() {
        if words.count > first { commands.append(first..<words.count) }
        first = words.count
        consumed = position
        missing = nil
    }

    /// False when bytes are missing.
    private mutating func parseWords(_ bytes: UnsafeRawBufferPointer) throws(Problem) -> Bool {
        while let left = missing, left > 0 {
            guard position < bytes.count else { return false }
            let mark = bytes[position]
            guard mark == UInt8(ascii: "$") else {
                throw Problem(message: "expected '$', got '\(UnicodeScalar(mark))'")
            }
            let start = position
            guard let count = try number(bytes, "invalid bulk length") else { return false }
            guard count >= 0, count <= Self.longestBulk else {
                throw Problem(message: "invalid bulk length")
            }
            guard bytes.count - position >= count + 2 else {
                position = start
                return false
            }
            words.append(Word(start: position, count: count))
            position += count + 2
            missing = left - 1
        }
        return true
    }

    /// The number on the line at `position`, after its first byte; nil when the line is not
    /// complete.
    private mutating func number(_ bytes: UnsafeRawBufferPointer, _ message: String) throws(Problem)
        -> Int?
    {
        var at = position + 1
        var value = 0
        let isNegative = at < bytes.count && bytes[at] == UInt8(ascii: "-")
        if isNegative { at += 1 }
        let digits = at
        while at < bytes.count, bytes[at] != 13 {
            let digit = bytes[at] &- UInt8(ascii: "0")
            guard digit < 10, at - digits < 18 else { throw Problem(message: message) }
            value = value &* 10 &+ Int(digit)
            at += 1
        }
        guard at + 1 < bytes.count else { return nil }
        guard at > digits else { throw Problem(message: message) }
        position = at + 2
        return isNegative ? -value : value
    }

    private mutating func parseInline(_ bytes: UnsafeRawBufferPointer) throws(Problem) -> Bool {
        var end = position
        while end < bytes.count, bytes[end] != UInt8(ascii: "\n") { end += 1 }
        guard end < bytes.count else {
            guard end - position <= Self.longestLine else {
                throw Problem(message: "too big inline request")
            }
            return false
        }
        let next = end + 1
        // As redis, which takes the line for a C string.
        end = bytes[position..<end].firstIndex(of: 0) ?? end
        var at = position
        while at < end {
            while at < end, Self.isSpace(bytes[at]) { at += 1 }
            let start = at
            while at < end, !Self.isSpace(bytes[at]) { at += 1 }
            if at > start { words.append(Word(start: start, count: at - start)) }
        }
        position = next
        finishCommand()
        return true
    }

    private static func isSpace(_ byte: UInt8) -> Bool { byte == 32 || (9...13).contains(byte) }
}
