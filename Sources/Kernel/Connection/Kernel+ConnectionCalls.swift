import ABI
import Machine
import Store

/// Native calls on connections, decoded.
extension Kernel {
    mutating func connectionCall(
        _ number: NativeCall, _ frame: CallFrame
    ) throws(NativeError) -> UInt64? {
        switch number {
        case .connectionCreate:
            return try give(try createConnection(frame).pointee.id, to: frame)
        case .connectionMemory:
            let (connection, held) = try find(
                frame.slot(0), in: frame.group, as: Connection.self, [])
            guard !held.rights.isDisjoint(with: [.call, .read]) else { throw .noRights }
            let source = try memorySource(connection)
            return UInt64(
                try derive(source, rights: [.read, .write], badge: 0, into: frame.group).value)
        case .connectionCall:
            let (connection, held) = try find(
                frame.slot(0), in: frame.group, as: Connection.self, .call)
            return try call(
                frame.thread, connection, badge: held.badge, message: frame.address(1))
        case .connectionReceive:
            return try receive(
                frame.thread, try object(frame.slot(0), of: frame, .read),
                message: frame.address(1), deadline: frame.word(2))
        case .connectionReply:
            let _: ConnectionPointer = try object(frame.slot(0), of: frame, .read)
            return try reply(frame.thread, message: frame.address(1))
        default: throw .unknownCall
        }
    }

    /// A connection without memory, or with a PMO that the caller may read, write and grant.
    private mutating func createConnection(
        _ frame: CallFrame
    ) throws(NativeError) -> ConnectionPointer {
        if frame.word(0) == UInt64(UInt32.max) {
            return try makeConnection(memory: .none, source: .none)
        }
        let memory: PMOPointer = try object(frame.slot(0), of: frame, [.read, .write, .grant])
        return try makeConnection(
            memory: memory.pointee.id, source: try find(frame.slot(0), in: frame.group))
    }
}
