import CMachinePC

/// Names of the kernel's functions, put into the image after linking (Tools/symbol-table): lines of
/// `hexadecimal offset in the image, space, name`, in ascending order, and a final NUL. Read only
/// in a panic.
enum SymbolTable {
    /// Writes `address in function+offset` and a line end.
    static func write(_ address: UInt64) {
        DebugText.write("  ")
        DebugText.write(hex: address)
        guard let table = UnsafePointer<UInt8>(bitPattern: UInt(pc_symbols_address())) else {
            return
        }
        let offset = address &- pc_text_start_address()
        var best: (name: Int, offset: UInt64)?
        var at = 0
        while at < Int(PC_SYMBOLS_BYTES), table[at] != 0 {
            let (value, name) = parseOffset(table, at)
            if value > offset { break }
            best = (name, value)
            at = endOfLine(table, name) + 1
        }
        if let best, address < pc_text_end_address() {
            DebugText.write(" ")
            for index in best.name..<endOfLine(table, best.name) {
                DebugText.write(byte: table[index])
            }
            DebugText.write(" + ")
            DebugText.write(offset - best.offset)
        }
        DebugText.write("\n")
    }

    private static func parseOffset(_ table: UnsafePointer<UInt8>, _ start: Int) -> (
        value: UInt64, name: Int
    ) {
        var value: UInt64 = 0
        var at = start
        while table[at] != UInt8(ascii: " ") && table[at] != 0 {
            let digit = table[at]
            value = value << 4 | UInt64(digit <= UInt8(ascii: "9") ? digit &- 48 : digit &- 87) & 15
            at += 1
        }
        return (value, at + 1)
    }

    private static func endOfLine(_ table: UnsafePointer<UInt8>, _ start: Int) -> Int {
        var at = start
        while at < Int(PC_SYMBOLS_BYTES) - 1, table[at] != UInt8(ascii: "\n"), table[at] != 0 {
            at += 1
        }
        return at
    }
}
