// swift-tools-version: 6.2
import PackageDescription

// Programs outside the project that use the persistent heap as any package would.
let package = Package(
    name: "todo",
    dependencies: [.package(name: "evertree", path: "../..")],
    targets: [
        .executableTarget(
            name: "todo", dependencies: [.product(name: "PersistentHeap", package: "evertree")]),
        .executableTarget(
            name: "counter", dependencies: [.product(name: "PersistentHeap", package: "evertree")]),
        .executableTarget(
            name: "bookshelf",
            dependencies: [.product(name: "PersistentHeap", package: "evertree")]),
        // The same program's first version.
        .executableTarget(
            name: "bookshelf1",
            dependencies: [.product(name: "PersistentHeap", package: "evertree")]),
    ],
    swiftLanguageModes: [.v6]
)
