// swift-tools-version: 6.2
import PackageDescription

// Everything that runs on the host, and every portable module of the kernel with its tests.
// The bare-metal image is built from the same sources by Image/ (see Makefile).
let package = Package(
    name: "evertree",
    products: [],
    dependencies: [],
    targets: [
        // Instructions that Swift cannot speak.
        .target(name: "CPrimitives"),
        // Superblock, commit slots, frames, records, checksums: what is on NVM, and the rules that choose.
        .target(name: "Store", dependencies: ["ABI", "CPrimitives"], exclude: ["README.md"]),
        // The seam between the kernel and what it runs on.
        .target(name: "Machine", dependencies: ["ABI", "Store"], exclude: ["README.md"]),
        // Numbers and layouts shared by kernel, servers and host tools.
        .target(name: "ABI", exclude: ["README.md"]),
        // The Linux system calls: processes, memory, signals, files.
        .target(name: "LinuxServer", exclude: ["FileSystem/INTERFACE.md"]),
        .testTarget(name: "LinuxServerTests", dependencies: ["LinuxServer", "CHostCalls"]),
        // Linux's own system calls, for tests that compare with Linux.
        .target(name: "CHostCalls", path: "Tests/CHostCalls"),
        .testTarget(name: "ABITests", dependencies: ["ABI"]),
    ],
    swiftLanguageModes: [.v6]
)
