// swift-tools-version: 6.2
import PackageDescription

// What runs on bare metal: the kernel image and the ring-3 servers. `Sources` holds links to the
// repository's own sources, so the host's tests and the image compile the same files.

/// No SSE and no red zone: kernel code is entered on its own stack, and a server's floating-point
/// state is its guest's. Frame pointers are for backtraces.
let machineFlags = [
    "-mno-red-zone", "-mno-sse", "-mno-sse2", "-mno-mmx", "-msoft-float", "-fno-omit-frame-pointer",
    "-fPIC",
]
let swift: [SwiftSetting] = [
    .enableExperimentalFeature("Embedded"),
    .unsafeFlags(
        ["-wmo", "-enforce-exclusivity=unchecked", "-Xfrontend", "-function-sections"]
            + machineFlags.flatMap { ["-Xcc", $0] }),
]
let c: [CSetting] = [.unsafeFlags(machineFlags + ["-ffreestanding", "-fno-builtin", "-O2"])]

/// A static program linked by a script of ours, with nothing of a host's.
func link(script: String) -> [LinkerSetting] {
    [
        .unsafeFlags([
            "-nostartfiles", "-Xclang-linker", "-nostdlib", "-Xclang-linker", "-static",
            "-use-ld=lld",
            "-Xlinker", "-T", "-Xlinker", script, "-Xlinker", "--gc-sections",
        ])
    ]
}

let package = Package(
    name: "image",
    targets: [
        .target(name: "ABI", exclude: ["README.md"], swiftSettings: swift),
        .target(name: "CPrimitives", cSettings: c),
        .target(
            name: "Store", dependencies: ["ABI", "CPrimitives"], exclude: ["README.md"],
            swiftSettings: swift),
        .target(
            name: "Machine", dependencies: ["ABI", "Store"], exclude: ["README.md"],
            swiftSettings: swift),
        .target(
            name: "Kernel", dependencies: ["ABI", "Machine", "Store"], exclude: ["README.md"],
            swiftSettings: swift),
        .target(name: "ACPI", exclude: ["README.md"], swiftSettings: swift),
        .target(name: "CMachinePC", cSettings: c),
        .executableTarget(
            name: "MachinePC",
            dependencies: [
                "ABI", "ACPI", "CMachinePC", "CPrimitives", "Kernel", "Machine", "Runtime",
                "CRuntime",
                "Store",
            ],
            exclude: ["README.md"], swiftSettings: swift, linkerSettings: link(script: "kernel.ld")),
        .target(name: "CRuntime", cSettings: c),
        .target(
            name: "Runtime", dependencies: ["CRuntime"], exclude: ["README.md"],
            swiftSettings: swift),
        .target(name: "CServerRuntime", cSettings: c),
        .target(
            name: "ServerRuntime", dependencies: ["ABI", "CServerRuntime", "Runtime"],
            exclude: ["README.md"],
            swiftSettings: swift),
        .target(name: "CNativeTest", cSettings: c),
        .executableTarget(
            name: "NativeTest", dependencies: ["ABI", "CNativeTest", "ServerRuntime"],
            path: "Sources/Servers/NativeTest",
            swiftSettings: swift, linkerSettings: link(script: "server.ld")),
        .target(name: "CLinuxServer", cSettings: c),
        .target(
            name: "LinuxServer", dependencies: ["ABI", "CLinuxServer"],
            exclude: ["FileSystem/INTERFACE.md"],
            swiftSettings: swift),
        .executableTarget(
            name: "linux-server",
            dependencies: ["ABI", "CServerRuntime", "LinuxServer", "ServerRuntime"],
            path: "Sources/Servers/LinuxServer", swiftSettings: swift,
            linkerSettings: link(script: "server.ld")),
        .executableTarget(
            name: "KernelBenchmark", dependencies: ["ABI", "ServerRuntime"],
            path: "Sources/Servers/KernelBenchmark",
            swiftSettings: swift, linkerSettings: link(script: "server.ld")),
    ],
    swiftLanguageModes: [.v6]
)
