// swift-tools-version: 6.2
import PackageDescription

// What `make coverage` measures, and nothing else, so that it builds fast: the store, the kernel,
// their tests and the simulation. `Sources` and `Tests` hold links to the repository's own.
let package = Package(
    name: "coverage",
    targets: [
        .target(name: "ABI", exclude: ["README.md"]),
        .target(name: "CPrimitives"),
        .target(name: "Store", dependencies: ["ABI", "CPrimitives"], exclude: ["README.md"]),
        .target(name: "Machine", dependencies: ["ABI", "Store"], exclude: ["README.md"]),
        .target(name: "Kernel", dependencies: ["ABI", "Machine", "Store"], exclude: ["README.md"]),
        .target(
            name: "MachineSim", dependencies: ["ABI", "Store", "Machine", "Kernel", "CPrimitives"],
            exclude: ["README.md"]),
        .executableTarget(
            name: "evertree-sim", dependencies: ["ABI", "Store", "MachineSim"],
            exclude: ["README.md", "planted-bugs.txt", "campaign", "catch-bugs", "seeds"],
            sources: ["Sources"]),
        .testTarget(name: "KernelCallTests", dependencies: ["ABI", "Kernel", "Machine", "MachineSim", "Store"]),
        .testTarget(name: "StoreTests", dependencies: ["ABI", "Store", "MachineSim", "CPrimitives"]),
    ],
    swiftLanguageModes: [.v6]
)
