// swift-tools-version: 6.2
import PackageDescription

// A server that speaks the redis protocol and keeps its data in a persistent heap.
let package = Package(
    name: "kv-server",
    dependencies: [
        .package(name: "evertree", path: "../.."),
        .package(url: "https://github.com/apple/swift-nio.git", from: "2.80.0"),
    ],
    targets: [
        .executableTarget(
            name: "kv-server",
            dependencies: [
                .product(name: "PersistentHeap", package: "evertree"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
            ], path: "Sources/KeyValueServer")
    ],
    swiftLanguageModes: [.v6]
)
