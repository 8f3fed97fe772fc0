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

    init(_ text: Bytes) {
        for entry in text.split(separator: 0) {
            guard let equals = entry.firstIndex(of: 0x3D) else { continue }
            set(Bytes(entry[..<equals]), Bytes(entry[(equals + 1)...]))
        }
    }

    private mutating func set(_ key: Bytes, _ value: Bytes) {
        if key == Bytes("program") { program = value }
        if key == Bytes("arg") { arguments.append(value) }
        if key == Bytes("env") { environment.append(value) }
        if key == Bytes("cwd") { workingDirectory = value }
        if key == Bytes("hostname") { hostName = value }
        if key == Bytes("entropy") { entropy = value }
        if key == Bytes("terminal") {
            for (index, digit) in value.prefix(3).enumerated() {
                terminals[index] = digit == UInt8(ascii: "1")
            }
        }
    }
}
