/// The coverage table of the Linux calls, from the call table itself.
public enum LinuxCoverage {
    /// Markdown rows, sorted by call number.
    public static func rows() -> [(number: Int, name: Bytes, support: Bytes)] {
        CallTable.all().sorted { $0.number < $1.number }.map { entry in
            let support: StaticString =
                switch entry.support {
                case .full: "full"
                case .partial: "partial"
                case .accepted: "accepted, no effect"
                }
            return (entry.number, Bytes(entry.name), Bytes(support))
        }
    }
}
