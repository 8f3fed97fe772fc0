import ABI
import Machine
import Store

/// A PMO's record (`PMORecord` has its layout), and what a version says of it.
extension Kernel {
    func encode(_ pmo: PMOPointer, _ writer: inout RecordWriter<M.Memory>) {
        let body = pmo.pointee
        var record = PMORecord(kind: body.kind, pageCount: body.pageCount)
        record.ring = body.ring
        record.root = body.tree.root
        record.depth = body.tree.depth
        record.promised = body.promised
        record.ringLocal = body.ringLocal
        record.pageSum = body.tree.sum
        record.base = body.tree.base
        record.basePages = body.tree.basePages
        switch body.backing {
        case .anonymous: break
        case .eternal(let first): record.place = UInt64(first.value)
        case .device(let address): record.place = address.value
        }
        record.write(to: &writer)
    }

    mutating func decodePMO(
        _ id: ObjectID, _ reader: inout RecordReader<M.Memory>
    ) -> PMOPointer? {
        guard let record = PMORecord(reading: &reader, in: store.layout),
            let backing = backing(of: record)
        else { return nil }
        var body = PhysicalMemoryObject(
            id: id, backing: backing, pageCount: record.pageCount, tree: record.tree(owner: id))
        body.promised = record.promised
        body.ringLocal = record.ringLocal
        body.ring = record.ring
        return pmos.allocate(body)
    }

    private func backing(of record: PMORecord) -> PMOBacking? {
        switch record.kind {
        case .anonymous: return .anonymous
        case .eternal:
            // Never commit slots, tables or other objects' pages.
            guard store.layout.isEternal(record.place, pages: record.pageCount) else { return nil }
            return .eternal(first: FrameNumber(UInt32(truncatingIfNeeded: record.place)))
        case .device:
            let address = PhysicalAddress(record.place)
            return isDevice(address, pages: record.pageCount) ? .device(address) : nil
        }
    }

    /// Whether a device PMO may have this place on this machine.
    func isDevice(_ physical: PhysicalAddress, pages: UInt64) -> Bool {
        physical.value % pageSize == 0 && physical.value < 1 << 46 && pages > 0
            && pages <= PageTree.maximumPages
            && machine.isDeviceMemory(physical, byteCount: pages * pageSize)
    }

    /// Independent of the record, on purpose.
    func describe(_ pmo: PMOPointer, _ emit: (UInt64) -> Void) {
        emit(UInt64(pmo.pointee.kind.rawValue))
        emit(pmo.pointee.pageCount)
        emit(place(of: pmo.pointee.backing))
        emit(pmo.pointee.ring.map { UInt64($0.value) + 1 } ?? 0)
        emit(pmo.pointee.ring == nil ? 0 : pmo.pointee.ringLocal)
        guard pmo.pointee.kind == .anonymous else { return }
        emit(pmo.pointee.tree.basePages)
        for page in 0..<pmo.pointee.pageCount {
            if let place = hotPlace(pmo, page) {
                describe(PageFrame(hot.pages[place]), page, emit)
                continue
            }
            do throws(StoreError) {
                guard case .present(let frame, _) = try store.pageState(page, of: pmo.pointee.tree)
                else { continue }
                describe(PageFrame(frame), page, emit)
            } catch { emit(Self.damageMark) }
        }
    }

    private func place(of backing: PMOBacking) -> UInt64 {
        switch backing {
        case .anonymous: 0
        case .eternal(let first): UInt64(first.value)
        case .device(let address): address.value
        }
    }

    private func describe(_ frame: PageFrame, _ page: UInt64, _ emit: (UInt64) -> Void) {
        for word in 0..<(pageSize / 8) {
            let value = frame.load(word * 8, from: store.memory)
            if value != 0 {
                emit(page << 16 | word)
                emit(value)
            }
        }
    }

    /// Stands in a description for a page whose table is damaged: touching it would stop the system
    /// with the name of the damage.
    public static var damageMark: UInt64 { 0xDA3A_6ED0_DA3A_6ED0 }
}
