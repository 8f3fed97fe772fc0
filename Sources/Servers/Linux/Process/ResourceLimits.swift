/// Resource limits (getrlimit(2)): kept and inherited; files open and file size are enforced.
struct ResourceLimits {
    static let unlimited = UInt64.max
    static let count = 16
    /// Soft and hard, in the order of RLIMIT_*.
    var values: [(soft: UInt64, hard: UInt64)]

    init() {
        values = [(soft: UInt64, hard: UInt64)](
            repeating: (ResourceLimits.unlimited, ResourceLimits.unlimited),
            count: ResourceLimits.count)
        values[3] = (8 << 20, ResourceLimits.unlimited)
        values[4] = (0, ResourceLimits.unlimited)
        values[6] = (4096, 4096)
        values[7] = (1024, UInt64(DescriptorTable.maximum))
        values[8] = (8 << 20, 8 << 20)
        values[11] = (1024, 1024)
        values[12] = (819_200, 819_200)
        values[13] = (0, 0)
        values[14] = (0, 0)
    }

    var fileSize: UInt64 { values[1].soft }
    var openFiles: UInt64 { values[7].soft }
}
