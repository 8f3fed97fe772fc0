import ABI
import Glibc
import Store
import SystemPackage
import Testing

@testable import HostKit

/// Store directories, locks and manifests.
struct DirectoryTests {
    @Test func aSecondRunIsRefusedWithTheTwoCommands() throws {
        let scratch = try Scratch()
        let directory = try scratch.store("it's.evertree")
        let error = #expect(throws: HostError.self) { try directory.create() }
        let text = "\(error.map { "\($0)" } ?? "")"
        #expect(
            text.contains("evertree resume '") && text.contains("evertree rm '")
                && text.contains("'\\''")
        )
        #expect(error?.exitStatus == 73)
    }

    @Test func otherDirectoriesAreNotTakenOver() throws {
        let scratch = try Scratch()
        _ = try scratch.file("precious", "data")
        #expect(throws: HostError.self) { try StoreDirectory(scratch.path).create() }
        #expect(throws: HostError.self) {
            try StoreDirectory(scratch.path.appending("precious")).create()
        }
        #expect(throws: HostError.self) { try StoreDirectory(scratch.path).requireStore() }
        #expect(throws: HostError.self) {
            try StoreDirectory(scratch.path.appending("none")).requireStore()
        }
    }

    @Test func aManifestComesBackAsItWas() throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        var manifest = try Manifest.load(directory)
        #expect(
            manifest.exitStatus == nil && manifest.nvmBytes == 64 << 20
                && manifest.interval == "1ms")
        manifest.exitStatus = 7
        try manifest.save(directory)
        #expect(try Manifest.load(directory) == manifest)
        for text in ["", "{", "{\"format\": 2}", "[]", "\u{FF}"] {
            try Files.replace(directory.manifest, with: Array(text.utf8))
            let error = #expect(throws: HostError.self) { try Manifest.load(directory) }
            #expect(error?.exitStatus == 65)
        }
    }

    @Test func aLockIsHeldUntilItsLastDescriptorIsClosed() throws {
        let scratch = try Scratch()
        let path = scratch.path.appending("lock")
        var copy: Int32 = -1
        do {
            let lock = try #require(try take(path))
            #expect(StoreLock.isHeld(path))
            #expect(try take(path) == nil)
            #expect(StoreLock.holder(path) == "process \(getpid()) (a test)")
            copy = dup(lock.rawValue)
            try lock.close()
        }
        #expect(StoreLock.isHeld(path))  // as a machine holds it after its command is gone
        close(copy)
        #expect(!StoreLock.isHeld(path))
    }

    /// The descriptor of a lock, which the caller closes; nil when another has it.
    private func take(_ path: FilePath) throws -> FileDescriptor? {
        guard let lock = try StoreLock(path, holder: "a test") else { return nil }
        return try lock.descriptor.duplicate()
    }

    @Test func aProcessIsKnownByItsStartToo() throws {
        let scratch = try Scratch()
        let path = scratch.path.appending("pid")
        let me = try #require(ProcessIdentity(of: getpid()))
        try me.save(path)
        #expect(ProcessIdentity(reading: path) == me)
        #expect(me.isAlive)
        let text = String(decoding: try Files.read(path), as: UTF8.self)
        let fields = text.split(separator: " ")
        try Files.replace(path, with: Array("\(fields[0]) 1 \(fields[2])".utf8))
        #expect(ProcessIdentity(reading: path)?.isAlive == false)
        for text in ["", "x y z", "1 2", "-4 1 b", "0 1 b", "1 1 b"] {
            try Files.replace(path, with: Array(text.utf8))
            #expect(ProcessIdentity(reading: path) == nil)
        }
    }

    @Test func aFormattedStoreIsEmptyAndSparse() throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        let rings = try ConsoleRings(directory)
        #expect(try directory.committedVersion(rings.file) == 0)
        #expect(rings.output.capacity == 256 << 10 && rings.input.capacity == 64 << 10)
        #expect(try StoreInspection.check(directory).damage == [])
        let status = try #require(Files.status(directory.nvm))
        #expect(status.st_size == 64 << 20 && status.st_blocks * 512 < 8 << 20)
    }

    @Test func aForeignMemoryFileIsNamed() throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        let file = try MappedFile(directory.nvm, writable: true)
        for frame in 0..<2 { memset(file.base + frame * 4096, 0x55, 4096) }
        let error = #expect(throws: HostError.self) { try directory.committedVersion(file) }
        #expect(error?.exitStatus == 65)
        #expect("\(error.map { "\($0)" } ?? "")".contains("superblock"))
    }
}
