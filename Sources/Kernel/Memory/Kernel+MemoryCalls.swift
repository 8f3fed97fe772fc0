import ABI
import Machine
import Store

/// Native calls on PMOs, decoded.
extension Kernel {
    mutating func memoryCall(
        _ number: NativeCall, _ frame: CallFrame
    ) throws(NativeError) -> UInt64? {
        switch number {
        case .pmoCreate:
            return try give(try makePMO(pageCount: frame.word(0)).pointee.id, to: frame)
        case .pmoOfImage:
            let image: PMOPointer = try object(frame.slot(0), of: frame, .read)
            let made = try makePMO(
                showing: image, first: try frame.pages(1), pageCount: try frame.pages(2))
            return try give(made.pointee.id, to: frame)
        case .pmoResize:
            let pmo = try versioned(frame.slot(0), of: frame)
            let pageCount = try frame.pages(1)
            guard pageCount > 0 else { throw .badArgument }
            return try resize(pmo, pages: pageCount)
        case .pmoDecommit:
            let pmo = try versioned(frame.slot(0), of: frame)
            return try decommit(pmo, first: try frame.pages(1), count: try frame.pages(2))
        case .memoryCopy:
            let to = try place(frame.slot(0), frame.word(1), frame, .write)
            let from = try place(frame.slot(2), frame.word(3), frame, .read)
            return try copy(from: from, to: to, length: min(frame.word(4), 256 * 1024))
        case .deviceMemory:
            try requireSystem(frame.slot(0), of: frame)
            let address = PhysicalAddress(frame.word(1))
            let pageCount = frame.word(2)
            guard isDevice(address, pages: pageCount) else { throw .badArgument }
            let made = try makePMO(pageCount: pageCount, backing: .device(address))
            return try give(made.pointee.id, to: frame)
        case .ringCreate:
            try requireSystem(frame.slot(0), of: frame)
            guard let number = RingNumber(frame.word(1)) else { throw .badArgument }
            let made = try makeRing(number, pageCount: frame.word(2))
            return try give(made.pointee.id, to: frame)
        default: throw .unknownCall
        }
    }

    /// A PMO whose pages come and go.
    private func versioned(_ slot: Slot, of frame: CallFrame) throws(NativeError) -> PMOPointer {
        let pmo: PMOPointer = try object(slot, of: frame, .manage)
        guard pmo.pointee.kind == .anonymous else { throw .badArgument }
        return pmo
    }

    /// One side of a copy: a PMO and an offset, or a VM space and an address.
    private func place(
        _ slot: Slot, _ offset: UInt64, _ frame: CallFrame, _ rights: Rights
    ) throws(NativeError) -> MemoryPlace {
        let found = capability(try find(slot, in: frame.group))
        guard found.rights.isSuperset(of: rights) else { throw .noRights }
        switch header(found.object).pointee.body {
        case .pmo(let pmo): return .pmo(pmo, offset: offset)
        case .vmSpace(let space): return .space(space, address: UserAddress(offset))
        case nil: throw .noCapability
        default: throw .wrongKind
        }
    }
}
