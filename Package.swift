// swift-tools-version: 6.2
import CompilerPluginSupport
import PackageDescription

// Everything that runs on the host, and every portable module of the kernel with its tests.
// The bare-metal image is built from the same sources by Image/ (see Makefile).
let package = Package(
    name: "evertree",
    products: [
        .executable(name: "evertree", targets: ["evertree"]),
        .library(name: "PersistentHeap", targets: ["PersistentHeap"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", exact: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", exact: "1.16.2"),
        .package(url: "https://github.com/apple/swift-system", exact: "1.8.1"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", exact: "1.0.2"),
        .package(url: "https://github.com/swiftlang/swift-syntax", from: "603.0.1"),
    ],
    targets: [
        // Instructions that Swift cannot speak.
        .target(name: "CPrimitives"),
        // Superblock, commit slots, frames, records, checksums: what is on NVM, and the rules that
        // choose.
        .target(name: "Store", dependencies: ["ABI", "CPrimitives"], exclude: ["README.md"]),
        // The kernel: capabilities, memory, threads, IPC, checkpoint, restore.
        .target(name: "Kernel", dependencies: ["ABI", "Machine", "Store"], exclude: ["README.md"]),
        // The seam between the kernel and what it runs on.
        .target(name: "Machine", dependencies: ["ABI", "Store"], exclude: ["README.md"]),
        // Numbers and layouts shared by kernel, servers and host tools.
        .target(name: "ABI", exclude: ["README.md"]),
        // The Linux system calls: processes, memory, signals, files.
        .target(
            name: "LinuxServer", dependencies: ["ABI", "CLinuxServer"],
            exclude: ["FileSystem/INTERFACE.md"]),
        // The seam below the Linux server: native calls and threads.
        .target(name: "CLinuxServer"),
        // The Linux server on a Linux host: guests run under ptrace. For tests.
        .target(name: "CHosted"),
        .target(name: "HostedNative", dependencies: ["ABI", "CHosted", "CLinuxServer"]),
        .executableTarget(
            name: "linux-server-hosted", dependencies: ["ABI", "HostedNative", "LinuxServer"],
            path: "Sources/LinuxServerHosted"),
        .testTarget(
            name: "LinuxServerTests", dependencies: ["LinuxServer", "HostedNative", "CHostCalls"]),
        // Linux's own system calls, for tests that compare with Linux.
        .target(name: "CHostCalls", path: "Tests/CHostCalls"),
        // Native calls one by one, on a machine without processors.
        .testTarget(
            name: "KernelCallTests",
            dependencies: ["ABI", "Kernel", "Machine", "MachineSim", "Store"]),
        // The heap of the kernel and of ring-3 servers.
        .target(name: "Runtime", exclude: ["README.md"]),
        // The firmware's tables.
        .target(name: "ACPI", exclude: ["README.md"]),
        .testTarget(name: "ACPITests", dependencies: ["ACPI"]),
        .testTarget(name: "RuntimeTests", dependencies: ["Runtime"]),
        .testTarget(name: "ABITests", dependencies: ["ABI"]),

        // The host side: store directory, QEMU, console, statistics; and the command over it.
        .target(name: "CHostKit"),
        .target(
            name: "HostKit",
            dependencies: [
                "ABI", "CHostKit", "CPrimitives", "Store",
                .product(name: "Logging", package: "swift-log"),
                .product(name: "Subprocess", package: "swift-subprocess"),
                .product(name: "SystemPackage", package: "swift-system"),
            ],
            exclude: ["README.md"]),
        .executableTarget(
            name: "evertree",
            dependencies: [
                "HeapTool", "HostKit",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
                .product(name: "Logging", package: "swift-log"),
            ]),
        .testTarget(name: "HostKitTests", dependencies: ["HostKit", "ABI"]),
        // The simulated machine: NVM that forgets, seeded scheduler, oracle.
        .target(
            name: "MachineSim", dependencies: ["ABI", "Store", "Machine", "Kernel", "CPrimitives"],
            exclude: ["README.md"]),
        // House rules, checked over all sources.
        .testTarget(name: "TidyTests"),
        .executableTarget(
            name: "evertree-sim", dependencies: ["ABI", "Store", "MachineSim"], path: "Simulation",
            exclude: ["README.md", "planted-bugs.txt", "campaign", "catch-bugs", "seeds", "Model"],
            sources: ["Sources"]),
        .testTarget(name: "KernelTests", dependencies: ["MachineSim", "Store"]),
        .testTarget(
            name: "StoreTests", dependencies: ["ABI", "Store", "MachineSim", "CPrimitives"]),
        // The persistent heap: mapping, domains and logs below; allocator, transactions, containers
        // above.
        .target(name: "CPersistentMemory"),
        .target(name: "PersistentMemory", dependencies: ["CPersistentMemory"]),
        .macro(
            name: "PersistentMacros",
            dependencies: [
                .product(name: "SwiftSyntaxMacros", package: "swift-syntax"),
                .product(name: "SwiftCompilerPlugin", package: "swift-syntax"),
            ]),
        .target(name: "HeapCore", dependencies: ["PersistentMemory"]),
        // The product: `HeapCore` and the macros.
        .target(name: "PersistentHeap", dependencies: ["HeapCore", "PersistentMacros"]),
        // What `evertree heap` does.
        .target(name: "HeapTool", dependencies: ["HeapCore"]),
        // Workloads and checks for power cuts, used by the tests and by the long campaign. Here and
        // below the modules with inlined code are named too: a build compiles a target again only
        // when a module it names has changed, and `PersistentHeap` re-exports without changing.
        .target(
            name: "HeapCrash", dependencies: ["HeapCore", "PersistentHeap", "PersistentMemory"],
            path: "Tests/HeapCrash"),
        .executableTarget(
            name: "heap-crash", dependencies: ["HeapCrash"], path: "Tests/HeapCrashCampaign"),
        .executableTarget(
            name: "heap-bench", dependencies: ["HeapCore", "PersistentHeap", "PersistentMemory"],
            path: "Benchmarks/Heap/Sources"),
        .testTarget(name: "PersistentMemoryTests", dependencies: ["PersistentMemory"]),
        .testTarget(
            name: "PersistentHeapTests",
            dependencies: [
                "CPersistentMemory", "HeapCore", "HeapCrash", "HeapTool", "PersistentHeap",
                "PersistentMemory",
            ]),
    ],
    swiftLanguageModes: [.v6]
)
