import ABI
import Machine
import Store

/// Native calls on VM spaces, decoded.
extension Kernel {
    mutating func spaceCall(
        _ number: NativeCall, _ frame: CallFrame
    ) throws(NativeError) -> UInt64? {
        if number == .vmSpaceCreate { return try give(try makeSpace().pointee.id, to: frame) }
        let space: VMSpacePointer = try object(frame.slot(0), of: frame, .manage)
        let range = try checkRange(frame.address(1), frame.word(2))
        switch number {
        case .map:
            try map(space, range, frame)
            return 0
        case .unmap:
            try clear(space, range)
            return 0
        case .protect:
            try protect(space, range, try frame.protection(3))
            return 0
        default: throw .unknownCall
        }
    }

    private mutating func map(
        _ space: VMSpacePointer, _ range: Range<UserAddress>, _ frame: CallFrame
    ) throws(NativeError) {
        let (pmo, capability) = try find(
            frame.slot(3), in: frame.group, as: PhysicalMemoryObject.self, [])
        let offset = frame.word(4)
        let protection = try frame.protection(5)
        guard offset % pageSize == 0, offset / pageSize <= PageTree.maximumPages else {
            throw .badArgument
        }
        let limit = capability.rights.protection
        guard limit.isSuperset(of: protection) else { throw .noRights }
        try map(space, range, pmo: pmo, offset: offset, protection: protection, limit: limit)
    }
}

extension Rights {
    /// What a mapping of a PMO may allow at most.
    fileprivate var protection: Protection {
        var allowed: Protection = []
        if contains(.read) { allowed.insert(.read) }
        if contains(.write) { allowed.insert(.write) }
        if contains(.execute) { allowed.insert(.execute) }
        return allowed
    }
}
