// swift-tools-version: 6.2
import PackageDescription

// The fuzzers: one program with one target for each border of the system, driven by the toolchain's
// libFuzzer. `Sources` holds links to the repository's own sources, which are compiled here with
// coverage instrumentation.

let swift: [SwiftSetting] = [
    // Whole-module and cross-module optimization: the kernel is generic over its machine. Edges
    // only: to trace comparisons too would double the time of a call.
    .unsafeFlags([
        "-sanitize=fuzzer", "-sanitize-coverage=edge,inline-8bit-counters,pc-table", "-wmo",
        "-cross-module-optimization",
    ])
]

/// Coroutines share a thread, in whose storage the runtime would mix up their accesses.
let coroutines: [SwiftSetting] = [.unsafeFlags(["-enforce-exclusivity=unchecked"])]

/// Targets look at the server's own types.
let linuxServer: [SwiftSetting] = [
    .unsafeFlags([
        "-sanitize=fuzzer", "-sanitize-coverage=edge,inline-8bit-counters,pc-table",
        "-enable-testing",
    ])
]

let package = Package(
    name: "fuzz",
    targets: [
        .target(name: "ABI", exclude: ["README.md"], swiftSettings: swift),
        .target(name: "CPrimitives"),
        .target(
            name: "Store", dependencies: ["ABI", "CPrimitives"], exclude: ["README.md"],
            swiftSettings: swift),
        .target(
            name: "Machine", dependencies: ["ABI", "Store"], exclude: ["README.md"],
            swiftSettings: swift),
        .target(
            name: "Kernel", dependencies: ["ABI", "Machine", "Store"], exclude: ["README.md"],
            swiftSettings: swift),
        .target(
            name: "MachineSim", dependencies: ["ABI", "Store", "Machine"], swiftSettings: swift),
        .target(name: "CFuzz"),
        .target(name: "CLinuxServer"),
        .target(
            name: "LinuxServer", dependencies: ["ABI", "CLinuxServer"],
            exclude: ["FileSystem/INTERFACE.md"],
            swiftSettings: linuxServer + coroutines),
        // The host's reader of console output, on plain memory.
        .target(name: "SystemPackage"),
        .target(
            name: "HostConsole", dependencies: ["ABI", "SystemPackage"], swiftSettings: swift),
        .executableTarget(
            name: "Fuzz",
            dependencies: [
                "ABI", "CFuzz", "HostConsole", "Kernel", "LinuxServer", "Machine", "MachineSim",
                "Store",
            ],
            swiftSettings: swift + coroutines,
            linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
    ],
    swiftLanguageModes: [.v6]
)
