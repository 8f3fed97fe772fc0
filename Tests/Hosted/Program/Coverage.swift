import LinuxServer

extension LinuxCoverage {
    /// The coverage page of Docs, made from the call table.
    static func table() -> String {
        var text =
            "# Linux calls\n\nMade from the call table by `make docs`. Anything else is ENOSYS, and counted.\n\n"
        text += "| number | call | support |\n|---|---|---|\n"
        for row in rows() {
            let name = String(decoding: row.name, as: UTF8.self)
            text +=
                "| \(row.number) | \(name) | \(String(decoding: row.support, as: UTF8.self)) |\n"
        }
        return text
    }
}
