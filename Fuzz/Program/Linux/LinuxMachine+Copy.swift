import ABI
import Glibc

/// `memoryCopy`, and how the harness itself reads and writes guests' memory.
extension LinuxMachine {
    private enum Place {
        case server(UInt64)
        case pmo(LinuxPMO, UInt64)
        case space(LinuxSpace, UInt64)

        func advanced(by count: UInt64) -> Place {
            switch self {
            case .server(let address): .server(address &+ count)
            case .pmo(let pmo, let offset): .pmo(pmo, offset &+ count)
            case .space(let space, let address): .space(space, address &+ count)
            }
        }
        var offsetInPage: UInt64 {
            switch self {
            case .server: 0
            case .pmo(_, let offset): offset % pageSize
            case .space(_, let address): address % pageSize
            }
        }
    }

    private func place(_ slot: UInt64, _ offset: UInt64, _ w: Words) -> Place {
        if slot == UInt64(RootSlot.vmSpace.value) { return .server(offset) }
        switch object(slot) {
        case .pmo(let pmo)?: return .pmo(pmo, offset)
        case .space(let space)?: return .space(space, offset)
        default: blame(.memoryCopy, w, "neither a PMO nor a VM space")
        }
    }

    /// The page of a PMO behind a guest's address; nil: not mapped so.
    func locate(_ space: LinuxSpace, _ address: UInt64, _ needs: Protection) -> (
        pmo: LinuxPMO, page: UInt64
    )? {
        guard let region = space.region(at: address), region.protection.isSuperset(of: needs)
        else { return nil }
        let page = (region.offset + (address - region.start)) / pageSize
        return page < region.pmo.pageCount ? (region.pmo, page) : nil
    }

    func copy(_ w: Words) -> Int64 {
        let to = place(w.a, w.b, w)
        let from = place(w.c, w.d, w)
        let total = min(w.e, 256 * 1024)
        if total == 0 { return 0 }
        if case .pmo(let target, let first) = to, case .pmo(let source, let offset) = from,
            first % pageSize == 0, offset % pageSize == 0,
            isHole(source, offset, total), isHole(target, first, total)
        {
            checkInside(target, first, total, w)
            checkInside(source, offset, total, w)
            return Int64(total)
        }
        var done: UInt64 = 0
        while done < total {
            let source = from.advanced(by: done)
            let target = to.advanced(by: done)
            let room = pageSize - max(source.offsetInPage, target.offsetInPage)
            let piece = min(total - done, room)
            guard copyPiece(from: source, to: target, piece, w) else { break }
            done += piece
        }
        return done > 0 ? Int64(done) : failure(.badAddress)
    }

    /// Whether it is quickly seen that nothing of a range was touched: fork(2) copies much of it.
    private func isHole(_ pmo: LinuxPMO, _ offset: UInt64, _ length: UInt64) -> Bool {
        let pages = offset / pageSize..<(offset &+ length &+ pageSize &- 1) / pageSize
        return pmo.home == nil && pmo.pages.count < 64
            && !pmo.pages.keys.contains { pages.contains($0) }
    }

    private func checkInside(_ pmo: LinuxPMO, _ offset: UInt64, _ length: UInt64, _ w: Words) {
        let size = pmo.pageCount * pageSize
        if offset > size || length > size - offset {
            blame(.memoryCopy, w, "beyond the PMO's \(pmo.pageCount) pages")
        }
    }

    private func copyPiece(from: Place, to: Place, _ count: UInt64, _ w: Words) -> Bool {
        var source: UnsafeMutableRawPointer?
        switch from {
        case .server(let address): source = UnsafeMutableRawPointer(bitPattern: UInt(address))
        case .pmo(let pmo, let offset):
            checkInside(pmo, offset, count, w)
            source = read(pmo, offset / pageSize).map { $0 + Int(offset % pageSize) }
        case .space(let space, let address):
            guard let (pmo, page) = locate(space, address, .read) else { return false }
            source = read(pmo, page).map { $0 + Int(address % pageSize) }
        }
        let target: UnsafeMutableRawPointer?
        switch to {
        case .server(let address): target = UnsafeMutableRawPointer(bitPattern: UInt(address))
        case .pmo(let pmo, let offset):
            checkInside(pmo, offset, count, w)
            if source == nil, count == pageSize, read(pmo, offset / pageSize) == nil { return true }
            target = write(pmo, offset / pageSize).map { $0 + Int(offset % pageSize) }
        case .space(let space, let address):
            guard let (pmo, page) = locate(space, address, .write) else { return false }
            target = write(pmo, page).map { $0 + Int(address % pageSize) }
        }
        guard let target else { return false }
        if let source { memmove(target, source, Int(count)) } else { memset(target, 0, Int(count)) }
        return true
    }

    /// A byte that a guest would load; nil: it would fault.
    func peek(_ space: LinuxSpace, _ address: UInt64) -> UInt8? {
        guard let (pmo, page) = locate(space, address, .read) else { return nil }
        return read(pmo, page)?.load(fromByteOffset: Int(address % pageSize), as: UInt8.self) ?? 0
    }

    /// A guest's own store of one word. False: it faults.
    func poke(_ space: LinuxSpace, _ address: UInt64, _ value: UInt64) -> Bool {
        let aligned = address & ~7
        guard let (pmo, page) = locate(space, aligned, .write), let frame = write(pmo, page) else {
            return false
        }
        frame.storeBytes(of: value, toByteOffset: Int(aligned % pageSize), as: UInt64.self)
        return true
    }
}
