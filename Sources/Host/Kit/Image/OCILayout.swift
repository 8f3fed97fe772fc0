import FoundationEssentials
import Glibc
import SystemPackage

/// An image in an OCI image layout (image-spec v1, image-layout.md), as skopeo(1) and umoci(1) write
/// it to a directory.
struct OCILayout {
    let path: FilePath

    /// What a layout says of how its program is to run (image-spec, config.md).
    struct Configuration: Decodable {
        var User: String?
        var Env: [String]?
        var Entrypoint: [String]?
        var Cmd: [String]?
        var WorkingDir: String?
    }

    private struct Descriptor: Decodable {
        struct Platform: Decodable {
            var architecture: String
            var os: String
        }
        var mediaType: String?
        var digest: String
        var platform: Platform?
        var annotations: [String: String]?
    }
    private struct Index: Decodable { var manifests: [Descriptor] }
    private struct ImageManifest: Decodable {
        var config: Descriptor
        var layers: [Descriptor]
    }
    private struct ImageConfiguration: Decodable { var config: Configuration? }

    /// `DIR`, or `DIR:TAG` where the layout has several images. Nil when it is no layout.
    static func open(_ text: String) -> (layout: OCILayout, tag: String?)? {
        func isLayout(_ path: FilePath) -> Bool { Files.exists(path.appending("oci-layout")) }
        if isLayout(FilePath(text)) { return (OCILayout(path: FilePath(text)), nil) }
        guard let colon = text.lastIndex(of: ":") else { return nil }
        let path = FilePath(String(text[..<colon]))
        let tag = String(text[text.index(after: colon)...])
        return isLayout(path) ? (OCILayout(path: path), tag) : nil
    }

    /// The layers, lowest first, and the configuration of the image with a tag, or of the only one.
    func image(tag: String?) throws(HostError) -> (layers: [FilePath], Configuration) {
        let index: Index = try decode(path.appending("index.json"))
        var manifest = try choose(index.manifests, tag)
        var depth = 0
        while manifest.mediaType?.contains("index") ?? false, depth < 4 {
            let nested: Index = try decode(try blob(manifest.digest))
            manifest = try choose(nested.manifests, nil)
            depth += 1
        }
        let image: ImageManifest = try decode(try blob(manifest.digest))
        let configuration: ImageConfiguration = try decode(try blob(image.config.digest))
        var layers: [FilePath] = []
        for layer in image.layers { layers.append(try blob(layer.digest)) }
        return (layers, configuration.config ?? Configuration())
    }

    private func choose(_ manifests: [Descriptor], _ tag: String?) throws(HostError) -> Descriptor {
        let key = "org.opencontainers.image.ref.name"
        let fitting = manifests.filter {
            let isOurs = $0.platform.map { $0.architecture == "amd64" && $0.os == "linux" }
            return (isOurs ?? true) && (tag == nil || $0.annotations?[key] == tag)
        }
        if fitting.count == 1 { return fitting[0] }
        let tags = manifests.compactMap { $0.annotations?[key] }.joined(separator: ", ")
        if fitting.isEmpty {
            throw .cannotRead(
                path: path.string,
                reason: tag.map { "it has no image \($0) for linux/amd64 (it has: \(tags))" }
                    ?? "it has no image for linux/amd64")
        }
        throw .usage("\(path) has several images: name one as \(path):TAG (\(tags))")
    }

    /// The file of a digest, `ALGORITHM:HEXADECIMAL`.
    private func blob(_ digest: String) throws(HostError) -> FilePath {
        let parts = digest.split(separator: ":", omittingEmptySubsequences: false)
        let isSound =
            parts.count == 2
            && parts.allSatisfy { part in
                !part.isEmpty
                    && part.utf8.allSatisfy { byte in
                        (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte)
                    }
            }
        guard isSound else {
            throw .cannotRead(path: path.string, reason: "'\(digest)' is not a digest")
        }
        return path.appending("blobs").appending(String(parts[0])).appending(String(parts[1]))
    }

    private func decode<Value: Decodable>(_ file: FilePath) throws(HostError) -> Value {
        let bytes = try Files.read(file, limit: 16 << 20)
        do { return try JSONDecoder().decode(Value.self, from: Data(bytes)) } catch {
            throw .cannotRead(path: file.string, reason: "it is not the JSON of an OCI layout")
        }
    }
}
