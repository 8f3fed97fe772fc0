/// The kernel's command line: words separated by spaces, `name` or `name=value` (Docs/boot.md lists
/// them).
struct BootOptions {
    /// Physical address of the NUL-terminated text, or 0.
    let address: UInt64
    private static let maximumBytes: UInt64 = 4096

    /// Whether the word `name` is there.
    func contains(_ name: StaticString) -> Bool {
        guard let end = find(name) else { return false }
        return isSeparator(byte(end))
    }

    /// The value of `name=`: `off` (0) or a whole number and `us`, `ms` or `s`, in nanoseconds. Nil
    /// if the option is not there or is written otherwise.
    func duration(_ name: StaticString) -> UInt64? {
        guard var at = find(name), byte(at) == UInt8(ascii: "=") else { return nil }
        at += 1
        if matches("off", at) { return 0 }
        var number: UInt64 = 0
        let start = at
        while let digit = byte(at), digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9"),
            at < start + 10
        {
            number = number * 10 + UInt64(digit - UInt8(ascii: "0"))
            at += 1
        }
        guard at > start else { return nil }
        if matches("us", at) { return number * 1000 }
        if matches("ms", at) { return number * 1_000_000 }
        if matches("s", at) { return number * 1_000_000_000 }
        return nil
    }

    /// The value of `name=`, a whole number. Nil if the option is not there or is written otherwise.
    func number(_ name: StaticString) -> UInt64? {
        guard var at = find(name), byte(at) == UInt8(ascii: "=") else { return nil }
        at += 1
        var number: UInt64 = 0
        let start = at
        while let digit = byte(at), digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9"),
            number < 1 << 40
        {
            number = number * 10 + UInt64(digit - UInt8(ascii: "0"))
            at += 1
        }
        return at > start && isSeparator(byte(at)) ? number : nil
    }

    /// The offset behind a word that begins with `name`.
    private func find(_ name: StaticString) -> UInt64? {
        var at: UInt64 = 0
        while let first = byte(at), first != 0 {
            let end = at + UInt64(name.utf8CodeUnitCount)
            if hasPrefix(name, at), isSeparator(byte(end)) || byte(end) == UInt8(ascii: "=") {
                return end
            }
            while !isSeparator(byte(at)) { at += 1 }
            while byte(at) == UInt8(ascii: " ") { at += 1 }
        }
        return nil
    }

    /// Whether exactly `word` stands at an offset.
    private func matches(_ word: StaticString, _ at: UInt64) -> Bool {
        hasPrefix(word, at) && isSeparator(byte(at + UInt64(word.utf8CodeUnitCount)))
    }

    private func hasPrefix(_ word: StaticString, _ at: UInt64) -> Bool {
        for index in 0..<word.utf8CodeUnitCount
        where byte(at + UInt64(index)) != word.utf8Start[index] { return false }
        return true
    }

    private func isSeparator(_ byte: UInt8?) -> Bool {
        byte == nil || byte == 0 || byte == UInt8(ascii: " ")
    }

    private func byte(_ offset: UInt64) -> UInt8? {
        guard address != 0, offset < Self.maximumBytes else { return nil }
        return BootMemory().byte(at: address &+ offset)
    }
}
