import ABI
import Machine
import Store

/// Native calls on capabilities and cap groups, decoded.
extension Kernel {
    mutating func capabilityCall(
        _ number: NativeCall, _ frame: CallFrame
    ) throws(NativeError) -> UInt64? {
        switch number {
        case .capabilityMint:
            let source = try find(frame.slot(0), in: frame.group)
            let slot = try derive(
                source, rights: frame.rights(1), badge: frame.word(2), into: frame.group)
            return UInt64(slot.value)
        case .capabilityGrant:
            let target: CapGroupPointer = try object(frame.slot(0), of: frame, .manage)
            let source = try find(frame.slot(1), in: frame.group)
            let slot = try derive(source, rights: frame.rights(2), badge: 0, into: target)
            return UInt64(slot.value)
        case .capabilityRevoke:
            revoke(try find(frame.slot(0), in: frame.group))
            return 0
        case .capabilityDelete:
            delete(try find(frame.slot(0), in: frame.group))
            return 0
        case .capGroupCreate:
            let name = try readName(frame.address(0), byteCount: frame.word(1), in: frame.space)
            let made = try makeGroup()
            made.pointee.name = name
            made.pointee.badge = frame.word(2)
            return try give(made.pointee.id, to: frame)
        case .capGroupKill:
            killGroup(try object(frame.slot(0), of: frame, .manage))
            return frame.thread.pointee.state == .dead ? nil : 0
        case .objectInfo:
            let held = capability(try find(frame.slot(0), in: frame.group))
            try writeInfo(held, to: frame.address(1), in: frame.space)
            return 0
        default: throw .unknownCall
        }
    }

    private mutating func readName(
        _ address: UserAddress, byteCount: UInt64, in space: VMSpacePointer
    ) throws(NativeError) -> InlineArray<4, UInt64> {
        var name: InlineArray<4, UInt64> = InlineArray(repeating: 0)
        guard byteCount < 32 else { throw .badArgument }
        let length = Int(byteCount)
        try withUnsafeMutableBytes(of: &name) { bytes throws(NativeError) in
            try readUser(
                space, address, into: UnsafeMutableRawBufferPointer(rebasing: bytes[0..<length]))
        }
        return name
    }

    private mutating func writeInfo(
        _ held: Capability, to address: UserAddress, in space: VMSpacePointer
    ) throws(NativeError) {
        let header = header(held.object).pointee
        var words: InlineArray<4, UInt64> = [
            UInt64(header.kind.rawValue), UInt64(held.rights.rawValue), held.badge, 0,
        ]
        switch header.body {
        case .pmo(let pmo): words[3] = pmo.pointee.pageCount
        case .notification(let notification): words[3] = notification.pointee.count
        default: break
        }
        try withUnsafeBytes(of: &words) { bytes throws(NativeError) in
            try writeUser(space, address, from: bytes)
        }
    }
}
