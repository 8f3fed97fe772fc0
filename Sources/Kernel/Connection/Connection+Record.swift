import ABI
import Machine
import Store

/// A connection's record (Docs/store-format.md).
extension Kernel {
    func encode(_ connection: ConnectionPointer, _ writer: inout RecordWriter<M.Memory>) {
        writer.append(connection.pointee.memory.packed)
        writer.append(UInt64(connection.pointee.source.value))
    }

    mutating func decodeConnection(
        _ id: ObjectID, _ reader: inout RecordReader<M.Memory>
    ) -> ConnectionPointer? {
        var body = Connection(id: id)
        body.memory = ObjectID(packed: reader.next())
        body.source = CapabilityRef(value: UInt32(truncatingIfNeeded: reader.next()))
        return connections.allocate(body)
    }

    func describe(_ connection: ConnectionPointer, _ emit: (UInt64) -> Void) {
        emit(connection.pointee.memory.packed)
        emit(UInt64(connection.pointee.source.value))
        describe(connection.pointee.callers, emit)
        describe(connection.pointee.receivers, emit)
    }
}
