// swift-tools-version: 6.2
import CompilerPluginSupport
import PackageDescription

// One manifest for all that is built. `EVERTREE_BUILD` says which of four builds this is; the
// Makefile sets it. They share the folders of sources, so that the host's tests, the fuzzers and the
// bare-metal image compile the same files.
enum Build: String {
    /// What runs on the host: the command, the heap, the simulated machine, all tests.
    case host
    /// What runs on bare metal: the kernel and the ring-3 servers, Embedded Swift.
    case image
    /// The fuzzers, compiled with coverage instrumentation.
    case fuzz
    /// Store, kernel, simulated machine and their tests alone: builds fast, for coverage and for
    /// copies with planted bugs.
    case core
}

guard let build = Build(rawValue: Context.environment["EVERTREE_BUILD"] ?? "host") else {
    fatalError("EVERTREE_BUILD is host, image, fuzz or core")
}

// MARK: Flags

/// No SSE and no red zone: kernel code is entered on its own stack, and a server's floating-point
/// state is its guest's. Frame pointers are for backtraces.
let machineFlags = [
    "-mno-red-zone", "-mno-sse", "-mno-sse2", "-mno-mmx", "-msoft-float", "-fno-omit-frame-pointer",
    "-fPIC",
]
let fuzzerFlags = ["-sanitize=fuzzer", "-sanitize-coverage=edge,inline-8bit-counters,pc-table"]
/// Coroutines share a thread, in whose storage the runtime would mix up their accesses.
let coroutines: [SwiftSetting] = [.unsafeFlags(["-enforce-exclusivity=unchecked"])]
/// Whole-module and cross-module optimization: the kernel is generic over its machine. Edges only:
/// to trace comparisons too would double the time of a call.
let fuzzed: [SwiftSetting] = [.unsafeFlags(fuzzerFlags + ["-wmo", "-cross-module-optimization"])]

/// Settings of the modules that several builds compile.
let portable: [SwiftSetting] =
    switch build {
    case .host, .core: []
    case .fuzz: fuzzed
    case .image:
        [
            .enableExperimentalFeature("Embedded"),
            .unsafeFlags(
                ["-wmo", "-enforce-exclusivity=unchecked", "-Xfrontend", "-function-sections"]
                    + machineFlags.flatMap { ["-Xcc", $0] }),
        ]
    }
let portableC: [CSetting] =
    build == .image
    ? [.unsafeFlags(machineFlags + ["-ffreestanding", "-fno-builtin", "-O2"])] : []

/// A static program linked by a script of ours, with nothing of a host's.
func link(script: String) -> [LinkerSetting] {
    [
        .unsafeFlags([
            "-nostartfiles", "-Xclang-linker", "-nostdlib", "-Xclang-linker", "-static",
            "-use-ld=lld", "-Xlinker", "-T",
            "-Xlinker", "\(Context.packageDirectory)/Sources/Hardware/Link/\(script)",
            "-Xlinker", "--gc-sections",
        ])
    ]
}

/// The pages that say what lives in a room, none of which is compiled.
func pages(_ rooms: String...) -> [String] { ["README.md"] + rooms.map { "\($0)/README.md" } }

// MARK: Floors

/// Numbers, the seam, the store and the kernel: in every build.
let core: [Target] = [
    .target(name: "CPrimitives", path: "Sources/Primitives", cSettings: portableC),
    .target(name: "ABI", exclude: pages(), swiftSettings: portable),
    .target(
        name: "Store", dependencies: ["ABI", "CPrimitives"],
        exclude: pages("Layout", "Versions", "Pages", "Records", "Frames", "Check"),
        swiftSettings: portable),
    .target(
        name: "Machine", dependencies: ["ABI", "Store"], exclude: pages(), swiftSettings: portable),
    .target(
        name: "Kernel", dependencies: ["ABI", "Machine", "Store"],
        exclude: pages(
            "Entry", "Objects", "CapGroup", "Thread", "Connection", "Memory",
            "Space", "Faults", "Checkpoint", "Restore", "Boot", "Inspect"),
        swiftSettings: portable),
]

/// The Linux system calls, and the seam below them: native calls and threads.
let linux: [Target] = [
    .target(name: "CLinuxServer", path: "Sources/Servers/Linux/Seam", cSettings: portableC),
    .target(
        name: "LinuxServer", dependencies: ["ABI", "CLinuxServer"], path: "Sources/Servers/Linux",
        exclude: ["README.md", "FileSystem/INTERFACE.md", "Seam", "Program"],
        swiftSettings: build == .fuzz
            ? [.unsafeFlags(fuzzerFlags + ["-enable-testing"])] + coroutines : portable),
]

let acpi: [Target] = [
    .target(
        name: "ACPI", path: "Sources/Hardware/ACPI", exclude: pages(), swiftSettings: portable)
]

/// The heap of the kernel and of ring-3 servers.
let runtime: [Target] = [
    .target(
        name: "Runtime", dependencies: build == .image ? ["CRuntime"] : [],
        path: "Sources/Runtime/Kernel", exclude: pages() + ["C"], swiftSettings: portable)
]

let image: [Target] = [
    .target(name: "CMachinePC", path: "Sources/Hardware/PC/Assembly", cSettings: portableC),
    .executableTarget(
        name: "MachinePC",
        dependencies: [
            "ABI", "ACPI", "CMachinePC", "CPrimitives", "Kernel", "Machine", "Runtime", "CRuntime",
            "Store",
        ],
        path: "Sources/Hardware/PC", exclude: pages() + ["Assembly"], swiftSettings: portable,
        linkerSettings: link(script: "kernel.ld")),
    .target(name: "CRuntime", path: "Sources/Runtime/Kernel/C", cSettings: portableC),
    .target(name: "CServerRuntime", path: "Sources/Runtime/Server/Assembly", cSettings: portableC),
    .target(
        name: "ServerRuntime", dependencies: ["ABI", "CServerRuntime", "Runtime"],
        path: "Sources/Runtime/Server", exclude: pages() + ["Assembly"], swiftSettings: portable),
    .target(
        name: "CNativeTest", path: "Sources/Servers/Tests/NativeTest/Assembly",
        cSettings: portableC),
    .executableTarget(
        name: "NativeTest", dependencies: ["ABI", "CNativeTest", "ServerRuntime"],
        path: "Sources/Servers/Tests/NativeTest", exclude: ["Assembly"], swiftSettings: portable,
        linkerSettings: link(script: "server.ld")),
    .executableTarget(
        name: "KernelBenchmark", dependencies: ["ABI", "ServerRuntime"],
        path: "Sources/Servers/Tests/KernelBenchmark", swiftSettings: portable,
        linkerSettings: link(script: "server.ld")),
    .executableTarget(
        name: "linux-server",
        dependencies: ["ABI", "CServerRuntime", "LinuxServer", "ServerRuntime"],
        path: "Sources/Servers/Linux/Program", swiftSettings: portable,
        linkerSettings: link(script: "server.ld")),
]

/// The simulated machine: NVM that forgets, seeded scheduler, oracle.
let simulation: [Target] = [
    .target(
        name: "MachineSim", dependencies: ["ABI", "Store", "Machine", "Kernel", "CPrimitives"],
        path: "Simulation/Machine", exclude: pages()),
    .executableTarget(
        name: "evertree-sim", dependencies: ["ABI", "Store", "MachineSim"],
        path: "Simulation/Driver"),
]

/// Native calls one by one, on a machine without processors; the store's formats and rules.
let coreTests: [Target] = [
    .testTarget(
        name: "KernelCallTests", dependencies: ["ABI", "Kernel", "Machine", "MachineSim", "Store"],
        path: "Tests/Kernel/Calls"),
    .testTarget(
        name: "StoreTests", dependencies: ["ABI", "Store", "MachineSim", "CPrimitives"],
        path: "Tests/Store"),
]

/// The command, and the host side below it: store directory, QEMU, console, statistics.
let host: [Target] = [
    .target(name: "CHostKit", path: "Sources/Host/Kit/C"),
    .target(
        name: "HostKit",
        dependencies: [
            "ABI", "CHostKit", "CPrimitives", "Store",
            .product(name: "Logging", package: "swift-log"),
            .product(name: "Subprocess", package: "swift-subprocess"),
            .product(name: "SystemPackage", package: "swift-system"),
            .product(name: "TOMLKit", package: "TOMLKit"),
        ],
        path: "Sources/Host/Kit", exclude: pages() + ["C"]),
    .executableTarget(
        name: "evertree",
        dependencies: [
            "HeapTool", "HostKit", "ObjectTool",
            .product(name: "ArgumentParser", package: "swift-argument-parser"),
            .product(name: "Logging", package: "swift-log"),
        ],
        path: "Sources/Host/Command", exclude: pages()),
]

/// The persistent heap: mapping, domains and logs below; allocator, transactions, containers above.
let heap: [Target] = [
    .target(name: "CPersistentMemory", path: "Sources/Heap/Region/C"),
    .target(
        name: "PersistentMemory", dependencies: ["CPersistentMemory"], path: "Sources/Heap/Region",
        exclude: pages() + ["C"]),
    .macro(
        name: "PersistentMacros",
        dependencies: [
            .product(name: "SwiftSyntaxMacros", package: "swift-syntax"),
            .product(name: "SwiftCompilerPlugin", package: "swift-syntax"),
        ],
        path: "Sources/Heap/Macros", exclude: pages()),
    .target(
        name: "HeapCore", dependencies: ["PersistentMemory"], path: "Sources/Heap/Core",
        exclude: pages()),
    // The product: `HeapCore` and the macros.
    .target(
        name: "PersistentHeap", dependencies: ["HeapCore", "PersistentMacros"],
        path: "Sources/Heap/Library", exclude: pages()),
    // What `evertree heap` does.
    .target(
        name: "HeapTool", dependencies: ["HeapCore"], path: "Sources/Heap/Tool", exclude: pages()),
    // Workloads and checks for power cuts, used by the tests and by the long campaign. Here and
    // below the modules with inlined code are named too: a build compiles a target again only when
    // a module it names has changed, and `PersistentHeap` re-exports without changing.
    .target(
        name: "HeapCrash", dependencies: ["HeapCore", "PersistentHeap", "PersistentMemory"],
        path: "Tests/Heap/Crash"),
    .executableTarget(
        name: "heap-crash", dependencies: ["HeapCrash"], path: "Tests/Heap/CrashCampaign"),
    .executableTarget(
        name: "heap-bench", dependencies: ["HeapCore", "PersistentHeap", "PersistentMemory"],
        path: "Benchmarks/Heap/Sources"),
]

/// The object space: data that outlives programs, pointers that outlive address spaces.
let objects: [Target] = [
    .target(name: "CObjectSpace", path: "Sources/Objects/C"),
    .target(
        name: "ObjectCore",
        dependencies: [
            "CObjectSpace", "CPersistentMemory", "PersistentMemory",
            .product(name: "Crypto", package: "swift-crypto"),
        ],
        path: "Sources/Objects/Core",
        exclude: pages("Collections", "Format", "Names", "Space", "Tables", "Transactions")),
    // The product: `ObjectCore` and the macro.
    .target(
        name: "PersistentObjects", dependencies: ["ObjectCore", "PersistentMacros"],
        path: "Sources/Objects/Library", exclude: pages()),
    // What `evertree object` does.
    .target(
        name: "ObjectTool", dependencies: ["ObjectCore"], path: "Sources/Objects/Tool",
        exclude: pages()),
    .target(
        name: "ObjectCrash",
        dependencies: [
            "CObjectSpace", "CPersistentMemory", "ObjectCore", "PersistentMemory",
            "PersistentObjects",
        ],
        path: "Tests/Objects/Crash"),
    .executableTarget(
        name: "object-crash", dependencies: ["ObjectCrash", "PersistentObjects"],
        path: "Tests/Objects/CrashCampaign"),
]

let hostTests: [Target] = [
    // The Linux server on a Linux host: guests run under ptrace.
    .target(name: "CHosted", path: "Tests/Hosted/Native/C"),
    .target(
        name: "HostedNative", dependencies: ["ABI", "CHosted", "CLinuxServer"],
        path: "Tests/Hosted/Native", exclude: pages() + ["C"]),
    .executableTarget(
        name: "linux-server-hosted", dependencies: ["ABI", "HostedNative", "LinuxServer"],
        path: "Tests/Hosted/Program"),
    // Linux's own system calls, for tests that compare with Linux.
    .target(name: "CHostCalls", path: "Tests/Servers/HostCalls"),
    .testTarget(
        name: "LinuxServerTests", dependencies: ["LinuxServer", "HostedNative", "CHostCalls"],
        path: "Tests/Servers/Linux"),
    .testTarget(name: "ACPITests", dependencies: ["ACPI"], path: "Tests/Hardware/ACPI"),
    .testTarget(name: "RuntimeTests", dependencies: ["Runtime"], path: "Tests/Runtime"),
    .testTarget(name: "ABITests", dependencies: ["ABI"], path: "Tests/ABI"),
    .testTarget(
        name: "HostKitTests", dependencies: ["HostKit", "ABI", "Store"], path: "Tests/Host/Kit"),
    .testTarget(
        name: "KernelTests", dependencies: ["MachineSim", "Store"], path: "Tests/Kernel/World"),
    // House rules, checked over all sources.
    .testTarget(name: "TidyTests", path: "Tests/Tidy"),
    .testTarget(
        name: "PersistentMemoryTests", dependencies: ["PersistentMemory"],
        path: "Tests/Heap/Region"),
    .testTarget(
        name: "PersistentHeapTests",
        dependencies: [
            "CPersistentMemory", "HeapCore", "HeapCrash", "HeapTool", "PersistentHeap",
            "PersistentMemory",
        ],
        path: "Tests/Heap/Library"),
    .testTarget(
        name: "PersistentObjectsTests",
        dependencies: [
            "ObjectCore", "ObjectCrash", "ObjectTool", "PersistentMemory", "PersistentObjects",
        ],
        path: "Tests/Objects/Library"),
]

/// The fuzzers: one program with one target for each border of the system, driven by the
/// toolchain's libFuzzer (Fuzz/README.md).
let fuzzers: [Target] = [
    .target(name: "CFuzz", path: "Fuzz/Program/C"),
    .target(
        name: "MachineSim", dependencies: ["ABI", "Store", "Machine"], path: "Simulation/Machine",
        sources: ["CallMachine.swift"], swiftSettings: fuzzed),
    // The host's reader of console output, on plain memory.
    .target(name: "SystemPackage", path: "Fuzz/SystemPackage"),
    .target(
        name: "HostConsole", dependencies: ["ABI", "SystemPackage"], path: ".",
        sources: [
            "Fuzz/HostConsole", "Sources/Host/Kit/Support/HostError.swift",
            "Sources/Host/Kit/Console/InputWriter.swift",
            "Sources/Host/Kit/Console/OutputReader.swift",
            "Sources/Host/Kit/Console/RingView.swift",
        ],
        swiftSettings: fuzzed),
    .executableTarget(
        name: "Fuzz",
        dependencies: [
            "ABI", "CFuzz", "HostConsole", "Kernel", "LinuxServer", "Machine", "MachineSim",
            "Store",
        ],
        path: "Fuzz/Program", exclude: ["C"], swiftSettings: fuzzed + coroutines,
        linkerSettings: [.unsafeFlags(["-sanitize=fuzzer", "-use-ld=lld"])]),
]

// MARK: The package

let targets: [Target] =
    switch build {
    case .host: core + linux + acpi + runtime + simulation + coreTests + host + heap + objects + hostTests
    case .image: core + linux + acpi + runtime + image
    case .fuzz: core + linux + fuzzers
    case .core: core + simulation + coreTests
    }

let package = Package(
    name: "evertree",
    products: build != .host
        ? []
        : [
            .executable(name: "evertree", targets: ["evertree"]),
            .library(name: "PersistentHeap", targets: ["PersistentHeap"]),
            .library(name: "PersistentObjects", targets: ["PersistentObjects"]),
        ],
    dependencies: build != .host
        ? []
        : [
            .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
            .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
            .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
            .package(url: "https://github.com/swiftlang/swift-subprocess", exact: "1.0.2"),
            // Wide, so that it agrees with the macros of a package that uses the heap.
            .package(
                url: "https://github.com/swiftlang/swift-syntax", "600.0.1"..<"604.0.0"),
            .package(url: "https://github.com/apple/swift-crypto", exact: "4.5.2"),
            .package(url: "https://github.com/LebJe/TOMLKit", exact: "0.6.0"),
        ],
    targets: targets,
    swiftLanguageModes: [.v6]
)
