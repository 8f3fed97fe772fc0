import ABI

/// Who may be using a frame: written when the frame is handed out, never versioned and never
/// cleared. Whether the named owner still refers to the frame is decided by looking there
/// (`FrameAllocator.isReferenced`), so no crash can leave a frame leaked or doubly used.
///
/// 16 bytes: owner (checked, 48 bits); index (40 bits) and role (8 bits), checked. Both sealed
/// zeros: never handed out.
public struct FrameStamp: Equatable, Sendable {
    public enum Role: Equatable, Sendable {
        /// A page of a PMO; index = page number.
        case page
        /// A node of a PMO's page tree, `level` 0 being a leaf; index = position among the nodes of
        /// that level.
        case node(level: UInt8)
        /// A node or leaf of a record table.
        case recordNode(large: Bool, level: UInt8)
    }
    public var owner: ObjectID
    public var index: UInt64
    public var role: Role

    var roleCode: UInt64 {
        switch role {
        case .page: 1
        case .node(let level): 0x10 | UInt64(level & 7)
        case .recordNode(let large, let level): (large ? 0x30 : 0x20) | UInt64(level & 7)
        }
    }

    static func role(code: UInt64) -> Role? {
        switch code >> 4 {
        case 0: code == 1 ? .page : nil
        case 1: .node(level: UInt8(code & 7))
        case 2: .recordNode(large: false, level: UInt8(code & 7))
        case 3: .recordNode(large: true, level: UInt8(code & 7))
        default: nil
        }
    }

    func store(to memory: borrowing some PersistentMemory, at offset: UInt64, check: WordCheck) {
        assert(index >> 40 == 0, "an index that the stamp cannot hold")
        memory.store(check.seal48(owner.packed, at: offset), at: offset)
        let word = index & 0xFF_FFFF_FFFF | roleCode << 40
        memory.store(check.seal48(word, at: offset + 8), at: offset + 8)
        memory.flush(offset, length: 16)
    }

    enum Loaded: Equatable {
        case blank
        case good(FrameStamp)
        case damaged
    }

    static func load(
        from memory: borrowing some PersistentMemory, at offset: UInt64, check: WordCheck
    ) -> Loaded {
        guard let owner = check.open48(memory.load(offset), at: offset),
            let index = check.open48(memory.load(offset + 8), at: offset + 8)
        else { return .damaged }
        // Also a torn stamp, which belongs to a frame that nothing refers to yet.
        if index == 0 { return .blank }
        guard let role = role(code: index >> 40) else { return .damaged }
        let id = ObjectID(packed: owner)
        return .good(FrameStamp(owner: id, index: index & 0xFF_FFFF_FFFF, role: role))
    }
}
