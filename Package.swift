// swift-tools-version: 6.2
import CompilerPluginSupport
import PackageDescription

// Everything that runs on the host, and every portable module of the kernel with its tests.
// The bare-metal image is built from the same sources by Image/ (see Makefile).
let package = Package(
    name: "evertree",
    products: [
        .library(name: "PersistentHeap", targets: ["PersistentHeap"])
    ],
    dependencies: [
        .package(url: "https://github.com/swiftlang/swift-syntax.git", from: "603.0.1")
    ],
    targets: [
        // Instructions that Swift cannot speak.
        .target(name: "CPrimitives"),
        // Superblock, commit slots, frames, records, checksums: what is on NVM, and the rules that choose.
        .target(name: "Store", dependencies: ["ABI", "CPrimitives"]),
        // The seam between the kernel and what it runs on.
        .target(name: "Machine", dependencies: ["ABI", "Store"]),
        // Numbers and layouts shared by kernel, servers and host tools.
        .target(name: "ABI"),
        .testTarget(name: "ABITests", dependencies: ["ABI"]),

        // The persistent heap: mapping, domains and logs below; allocator, transactions, containers above.
        .target(name: "CPersistentMemory"),
        .target(name: "PersistentMemory", dependencies: ["CPersistentMemory"]),
        .macro(
            name: "PersistentMacros",
            dependencies: [
                .product(name: "SwiftSyntaxMacros", package: "swift-syntax"),
                .product(name: "SwiftCompilerPlugin", package: "swift-syntax"),
            ]),
        .target(name: "PersistentHeap", dependencies: ["PersistentMemory", "PersistentMacros"]),
        // What `evertree heap` does.
        .target(name: "HeapTool", dependencies: ["PersistentHeap"]),
        // Workloads and checks for power cuts, used by the tests and by the long campaign.
        .target(name: "HeapCrash", dependencies: ["PersistentHeap"], path: "Tests/HeapCrash"),
        .executableTarget(
            name: "heap-crash", dependencies: ["HeapCrash"], path: "Tests/HeapCrashCampaign"),
        .executableTarget(
            name: "heap-bench", dependencies: ["PersistentHeap"], path: "Benchmarks/Heap/Sources"),
        .testTarget(name: "PersistentMemoryTests", dependencies: ["PersistentMemory"]),
        .testTarget(name: "PersistentHeapTests", dependencies: ["PersistentHeap", "HeapCrash", "HeapTool"]),
    ],
    swiftLanguageModes: [.v6]
)
