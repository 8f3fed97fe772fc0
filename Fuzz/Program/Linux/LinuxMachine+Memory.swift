import ABI
import Glibc

/// PMOs, VM spaces and copies, as Sources/ABI/NativeCall.swift describes them.
extension LinuxMachine {
    static let maximumPages: UInt64 = 1 << 35

    func performMemory(_ call: NativeCall, _ w: Words) -> Int64 {
        switch call {
        case .pmoCreate:
            guard w.a > 0, w.a <= LinuxMachine.maximumPages else { return failure(.badArgument) }
            return lacksMemory ? failure(.noMemory) : add(.pmo(LinuxPMO(pageCount: w.a)))
        // A store without room for connection rings; `ConnectionRingTests` sends them hostile frames.
        case .ringCreate: return failure(.noMemory)
        case .pmoResize: return resize(pmo(call, w, w.a), w)
        case .pmoDecommit: return decommit(pmo(call, w, w.a), w)
        case .memoryCopy: return copy(w)
        case .vmSpaceCreate:
            return lacksMemory ? failure(.noMemory) : add(.space(LinuxSpace()))
        case .map: return map(w)
        case .unmap:
            let end = range(call, w)
            if lacksMemory { return failure(.noMemory) }
            clear(space(call, w), w.b, end)
            return 0
        case .protect: return protect(w)
        case .objectInfo:
            guard let words = UnsafeMutablePointer<UInt64>(bitPattern: UInt(w.b)) else {
                blame(call, w, "no buffer")
            }
            let pmo = pmo(call, w, w.a)
            words[0] = UInt64(ObjectKind.pmo.rawValue)
            words[1] = UInt64(Rights.all.rawValue)
            words[2] = 0
            words[3] = pmo.pageCount
            return 0
        default: blame(call, w, "the Linux server has no use for it")
        }
    }

    private func pmo(_ call: NativeCall, _ w: Words, _ slot: UInt64) -> LinuxPMO {
        guard case .pmo(let found)? = object(slot) else { blame(call, w, "no such PMO") }
        return found
    }

    private func space(_ call: NativeCall, _ w: Words) -> LinuxSpace {
        guard case .space(let found)? = object(w.a) else { blame(call, w, "no such VM space") }
        return found
    }

    // MARK: PMOs

    func drop(_ pmo: LinuxPMO) {
        pmo.uses -= 1
        guard pmo.uses == 0, pmo.home == nil else { return }
        for page in pmo.pages.values { frames.give(page) }
        pmo.pages = [:]
    }

    private func free(_ pmo: LinuxPMO, _ pages: Range<UInt64>) {
        for page in pmo.pages.keys where pages.contains(page) {
            if let frame = pmo.pages.removeValue(forKey: page) { frames.give(frame) }
        }
    }

    private func resize(_ pmo: LinuxPMO, _ w: Words) -> Int64 {
        guard w.b > 0, w.b <= LinuxMachine.maximumPages else { return failure(.badArgument) }
        if w.b > pmo.pageCount, lacksMemory { return failure(.noMemory) }
        if w.b < pmo.pageCount { free(pmo, w.b..<pmo.pageCount) }
        pmo.pageCount = w.b
        return 0
    }

    private func decommit(_ pmo: LinuxPMO, _ w: Words) -> Int64 {
        guard w.b <= pmo.pageCount, w.c <= pmo.pageCount - w.b else {
            blame(.pmoDecommit, w, "beyond the PMO's \(pmo.pageCount) pages")
        }
        free(pmo, w.b..<(w.b + w.c))
        return Int64(w.c)
    }

    /// A page for writing; nil: the machine is full.
    func write(_ pmo: LinuxPMO, _ page: UInt64) -> UnsafeMutableRawPointer? {
        if let home = pmo.home { return home + Int(page * pageSize) }
        if let found = pmo.pages[page] { return found }
        if running !== bootThread, lacksMemory { return nil }
        guard let fresh = frames.take() else { return nil }
        pmo.pages[page] = fresh
        return fresh
    }

    /// A page for reading; nil: it was never touched.
    func read(_ pmo: LinuxPMO, _ page: UInt64) -> UnsafeMutableRawPointer? {
        pmo.home.map { $0 + Int(page * pageSize) } ?? pmo.pages[page]
    }

    // MARK: Regions

    /// The end of a range, which the server has to have checked.
    private func range(_ call: NativeCall, _ w: Words) -> UInt64 {
        let (end, overflow) = w.b.addingReportingOverflow(w.c)
        guard !overflow, w.b % pageSize == 0, w.c % pageSize == 0, w.c > 0,
            w.b >= UserAddress.lowest.value, end <= UserAddress.limit.value
        else { blame(call, w, "the range is not one of pages that a program may have") }
        return end
    }

    private func map(_ w: Words) -> Int64 {
        let end = range(.map, w)
        let pmo = pmo(.map, w, w.d)
        guard w.e % pageSize == 0, w.f < 8 else { blame(.map, w, "a bad offset or protection") }
        guard w.e / pageSize <= pmo.pageCount, w.c / pageSize <= pmo.pageCount - w.e / pageSize
        else { blame(.map, w, "beyond the PMO's \(pmo.pageCount) pages") }
        if w.a == UInt64(RootSlot.vmSpace.value) { return mapHome(pmo, at: w.b) }
        if lacksMemory { return failure(.noMemory) }
        let space = space(.map, w)
        clear(space, w.b, end)
        pmo.uses += 1
        space.regions.insert(
            LinuxSpace.Region(
                start: w.b, end: end, pmo: pmo, offset: w.e,
                protection: Protection(rawValue: UInt8(w.f))),
            at: space.firstIndex(endingAfter: w.b))
        return 0
    }

    /// A ring or page that the server itself reads and writes.
    private func mapHome(_ pmo: LinuxPMO, at address: UInt64) -> Int64 {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE
        let wish = UnsafeMutableRawPointer(bitPattern: UInt(address))
        let size = Int(pmo.pageCount * pageSize)
        guard let home = mmap(wish, size, PROT_READ | PROT_WRITE, flags, -1, 0), home == wish else {
            return failure(.noMemory)
        }
        for (page, frame) in pmo.pages {
            memcpy(home + Int(page * pageSize), frame, Int(pageSize))
        }
        pmo.home = home
        return 0
    }

    func clear(_ space: LinuxSpace, _ start: UInt64, _ end: UInt64) {
        var index = space.firstIndex(endingAfter: start)
        while index < space.regions.count, space.regions[index].start < end {
            let old = space.regions.remove(at: index)
            if old.start < start {
                old.pmo.uses += 1
                space.regions.insert(old.part(old.start, start), at: index)
                index += 1
            }
            if old.end > end {
                old.pmo.uses += 1
                space.regions.insert(old.part(end, old.end), at: index)
                index += 1
            }
            drop(old.pmo)
        }
    }

    private func protect(_ w: Words) -> Int64 {
        let end = range(.protect, w)
        let space = space(.protect, w)
        guard w.d < 8 else { blame(.protect, w, "a bad protection") }
        if lacksMemory { return failure(.noMemory) }
        var at = w.b
        while at < end {
            guard let region = space.region(at: at) else { blame(.protect, w, "a hole at \(at)") }
            let part = region.part(at, min(region.end, end))
            region.pmo.uses += 1
            clear(space, part.start, part.end)
            var changed = part
            changed.protection = Protection(rawValue: UInt8(w.d))
            space.regions.insert(changed, at: space.firstIndex(endingAfter: part.start))
            at = part.end
        }
        return 0
    }
}
