import ABI
import Machine
import Store

/// A region's record. A VM space has none of its own beyond its kind: its regions name it.
extension Kernel {
    func encode(_ region: RegionPointer, _ writer: inout RecordWriter<M.Memory>) {
        writer.append(region.pointee.space.pointee.id.packed)
        writer.append(region.pointee.pmo.pointee.id.packed)
        writer.append(region.pointee.start.value)
        writer.append(region.pointee.end.value)
        writer.append(region.pointee.offset)
        writer.append(
            UInt64(region.pointee.protection.rawValue) | UInt64(region.pointee.limit.rawValue) << 8)
    }

    mutating func decodeRegion(
        _ id: ObjectID, _ reader: inout RecordReader<M.Memory>
    ) -> RegionPointer? {
        guard let space = body(ObjectID(packed: reader.next()), as: VMSpace.self),
            let pmo = body(ObjectID(packed: reader.next()), as: PhysicalMemoryObject.self)
        else { return nil }
        let start = UserAddress(reader.next())
        let end = UserAddress(reader.next())
        let offset = reader.next()
        let rights = reader.next()
        guard start < end, end <= UserAddress.limit, start.isPageAligned,
            end.isPageAligned, offset % pageSize == 0
        else {
            return nil
        }
        let body = Region(
            id: id, space: space, pmo: pmo, start: start, end: end, offset: offset,
            protection: Protection(rawValue: UInt8(truncatingIfNeeded: rights)),
            limit: Protection(rawValue: UInt8(truncatingIfNeeded: rights >> 8)))
        return regions.allocate(body)
    }

    mutating func linkRestored(_ region: RegionPointer) {
        retain(region.pointee.pmo.pointee.id)
        linkRegion(region)
        let space = region.pointee.space
        do throws(NativeError) {
            try reserveForRestore(space)
            insertRegion(region, at: regionIndex(space, above: region.pointee.start))
        } catch { damage = .damagedRecord(index: region.pointee.id.index) }
    }

    func describe(_ region: RegionPointer, _ emit: (UInt64) -> Void) {
        emit(region.pointee.space.pointee.id.packed)
        emit(region.pointee.pmo.pointee.id.packed)
        emit(region.pointee.start.value)
        emit(region.pointee.end.value)
        emit(region.pointee.offset)
        emit(
            UInt64(region.pointee.protection.rawValue) << 8 | UInt64(region.pointee.limit.rawValue))
    }
}
