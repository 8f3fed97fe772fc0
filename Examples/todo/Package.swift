// swift-tools-version: 6.2
import PackageDescription

// A program outside the project that uses the persistent heap as any package would.
let package = Package(
    name: "todo",
    dependencies: [.package(name: "evertree", path: "../..")],
    targets: [
        .executableTarget(
            name: "todo", dependencies: [.product(name: "PersistentHeap", package: "evertree")])
    ],
    swiftLanguageModes: [.v6]
)
