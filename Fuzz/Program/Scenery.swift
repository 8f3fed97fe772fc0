import ABI
import Kernel

/// A small system to begin with: three cap groups, threads in each of them, two spaces, shared
/// memory, a connection, notifications, and capabilities derived several deep. Committed; ready
/// threads only.
enum Scenery {
    static func build(_ bench: Bench) {
        bench.handle(.interrupt)
        bench.focus()
        let state = CallTarget.shared
        let memory = slot(bench.call(.pmoCreate, CallTarget.sharedPages))
        bench.call(.map, 1, state, CallTarget.sharedPages * 4096, memory, 0, 3)
        let note = slot(bench.call(.notificationCreate))
        let connection = slot(bench.call(.connectionCreate, memory))
        let space = slot(bench.call(.vmSpaceCreate))
        bench.call(.map, space, 0x40_0000, 4096, memory, 4096, 7)
        bench.call(.map, space, state, CallTarget.sharedPages * 4096, memory, 0, 3)
        for badge: UInt64 in 1...2 {
            let group = slot(bench.call(.capGroupCreate, state, 4, badge))
            bench.call(.capabilityGrant, group, connection, badge == 1 ? 0x31 : 0x30)
            bench.call(.capabilityGrant, group, note, 0x13)
            bench.call(.capabilityGrant, group, memory, badge == 1 ? 0x13 : 0x01)
            let derived = slot(bench.call(.capabilityMint, memory, 0x17, badge))
            bench.call(.capabilityGrant, group, derived, 0x15)
            bench.call(.capabilityGrant, group, space, badge == 1 ? 0x1F : 0x0A)
            bench.call(.capabilityGrant, group, group, badge == 1 ? 0x1F : 0x0B)
            for thread: UInt64 in 0..<2 {
                bench.call(
                    .threadCreate, group, thread == 0 ? 1 : space, 0x40_0000, state + 0x8000, thread
                )
            }
        }
        bench.call(.threadCreate, 0, 1, 0x40_0000, state + 0x9000, 0)
        // Two messages with capabilities, two guest states.
        for message: UInt64 in 0..<2 {
            bench.store(message + 1, at: state + message * 192 + Message.countOffset)
            bench.store(memory, at: state + message * 192 + Message.slotsOffset)
            bench.store(note, at: state + message * 192 + Message.slotsOffset + 8)
            bench.store(0x40_0010, at: state + (message + 2) * 192 + UInt64(RegisterOffset.rip))
        }
        bench.tick()
        bench.tick()
        bench.focus()
        bench.checkInvariants("scenery")
    }

    static func slot(_ result: Int64) -> UInt64 {
        guard result >= 0 else { finding("scenery: error \(result)") }
        return UInt64(result)
    }
}
