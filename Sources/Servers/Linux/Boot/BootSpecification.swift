/// What the CLI wants run (`Bundle.specificationPath`): NUL-terminated `key=value` entries.
struct BootSpecification {
    var program = Bytes()
    var arguments: [Bytes] = []
    var environment: [Bytes] = []
    var workingDirectory = Bytes("/")
    var hostName = Bytes("evertree")
    /// Is descriptor 0, 1, 2 a terminal.
    var terminals = [false, false, false]
    var entropy = Bytes()
    /// Pages of the store's image; 0 when there is none.
    var imagePages: UInt64 = 0
    var user: UInt32 = 0
    var group: UInt32 = 0
    var groups: [UInt32] = []

    init(_ text: Bytes) {
        for entry in text.split(separator: 0) {
            guard let equals = entry.firstIndex(of: 0x3D) else { continue }
            set(Bytes(entry[..<equals]), Bytes(entry[(equals + 1)...]))
        }
    }

    /// A decimal number; 0 for anything else.
    private static func number(_ text: Bytes) -> UInt64 {
        var value: UInt64 = 0
        for digit in text {
            guard digit >= 0x30, digit <= 0x39, value < 1 << 56 else { return 0 }
            value = value * 10 + UInt64(digit - 0x30)
        }
        return value
    }

    private mutating func set(_ key: Bytes, _ value: Bytes) {
        if key == Bytes("program") { program = value }
        if key == Bytes("arg") { arguments.append(value) }
        if key == Bytes("env") { environment.append(value) }
        if key == Bytes("cwd") { workingDirectory = value }
        if key == Bytes("hostname") { hostName = value }
        if key == Bytes("entropy") { entropy = value }
        if key == Bytes("image") { imagePages = BootSpecification.number(value) }
        if key == Bytes("user") {
            user = UInt32(truncatingIfNeeded: BootSpecification.number(value))
        }
        if key == Bytes("group") {
            group = UInt32(truncatingIfNeeded: BootSpecification.number(value))
        }
        if key == Bytes("groups") {
            groups.append(UInt32(truncatingIfNeeded: BootSpecification.number(value)))
        }
        if key == Bytes("terminal") {
            for (index, digit) in value.prefix(3).enumerated() {
                terminals[index] = digit == UInt8(ascii: "1")
            }
        }
    }
}
