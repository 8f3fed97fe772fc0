import Glibc
import SystemPackage
import Testing

@testable import HostKit

/// `wait`, `rm` and what `ps --json` says, without a machine.
struct ControlTests {
    @Test func aRunIsRemovedWhole() throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        try Control.remove(directory, force: false)
        #expect(Files.status(directory.path) == nil)
        #expect(throws: HostError.noStore(path: directory.name)) {
            try Control.remove(directory, force: false)
        }
    }

    @Test func whatIsNoRunStays() throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        let other = directory.path.appending("other")
        try Files.replace(other, with: [1])
        #expect(throws: HostError.self) { try Control.remove(directory, force: false) }
        #expect(Files.exists(other) && !Files.exists(directory.nvm))
        let empty = StoreDirectory(scratch.path)
        #expect(throws: HostError.self) { try Control.remove(empty, force: true) }
        #expect(Files.exists(scratch.path))
    }

    @Test func aRunInUseStays() throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        let lock = try StoreLock(directory.machineLock, holder: "test")
        let isHeld = lock != nil
        #expect(isHeld)
        let error = #expect(throws: HostError.self) { try Control.remove(directory, force: false) }
        #expect(error?.exitStatus == 69)
        #expect(Files.exists(directory.nvm))
        extendLifetime(lock)
    }

    @Test func waitingEndsWithTheProgramOrTheMachine() throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        let error = #expect(throws: HostError.self) { try Control.waitForProgram(directory) }
        #expect(error?.exitStatus == 75)
        var manifest = try Manifest.load(directory)
        manifest.exitStatus = 7
        try manifest.save(directory)
        #expect(try Control.waitForProgram(directory) == 7)
        let fields = Control.look(directory).fields
        #expect(fields.state == "finished" && fields.exitStatus == 7 && fields.process == nil)
    }

    /// The exit is in the output that nobody has read.
    @Test func waitingFindsTheExitInTheRing() throws {
        let scratch = try Scratch()
        let directory = try scratch.store()
        let rings = try ConsoleRings(directory)
        var guest = FakeGuest(rings.file)
        guest.mustWrite(.standardOutput, Array("text".utf8))
        guest.mustWrite(.exit, [42, 0, 0, 0])
        guest.commit()
        #expect(try Control.waitForProgram(directory) == 42)
    }
}
