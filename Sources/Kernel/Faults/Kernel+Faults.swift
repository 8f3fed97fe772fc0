import ABI
import Machine
import Store

/// The fault path: finds the region, makes the page what the access needs, installs the
/// translation. Allocates nothing but frames.
extension Kernel {
    mutating func pageFault(
        core: Int, address: UserAddress, isWrite: Bool, isExecute: Bool, errorCode: UInt64
    ) {
        statistics.pageFaults &+= 1
        guard let thread = cores[core].current else { return }
        let space = thread.pointee.restrictedSpace ?? thread.pointee.space
        let needed: Protection = isWrite ? .write : isExecute ? .execute : .read
        if address >= UserAddress.lowest, address < UserAddress.limit,
            let region = region(space, at: address), permits(region, needed)
        {
            if mustMakeRoom { takeCheckpoint(core: core) }
            do throws(NativeError) {
                try resolve(region, address: address, isWrite: isWrite)
                return
            } catch {
                // Damage is not the program's fault: the machine stops at the end of this entry.
                if damage != nil { return }
                // No memory, or behind the end of the PMO: the program's fault to deal with.
            }
        }
        exception(core: core, vector: 14, errorCode: errorCode, address: address)
    }

    func permits(_ region: RegionPointer, _ needed: Protection) -> Bool {
        let has = region.pointee.protection
        return needed == .read ? !has.isEmpty : has.contains(needed)
    }

    /// The lists that bound what one version may dirty are nearly full.
    var mustMakeRoom: Bool { store.mustCommit || holes.isFull || mustCheckpoint }

    private mutating func resolve(
        _ region: RegionPointer, address: UserAddress, isWrite: Bool
    ) throws(NativeError) {
        let page = region.pointee.page(at: address)
        let pmo = region.pointee.pmo
        let target: MappingTarget
        var isHot = false
        var protection = region.pointee.protection
        switch try access(pmo, page: page, isWrite: isWrite, fill: true) {
        case .device(let physical): target = .device(physical)
        case .absent: throw .notMapped
        case .frame(let place):
            isHot = place.memory != nil
            target = MappingTarget(place)
            // A clean page stays read-only until it is written; a hot one is always writable.
            if !isHot && !isWrite && pmo.pointee.kind == .anonymous { protection.remove(.write) }
        }
        let space = region.pointee.space
        let start = address.pageStart
        let tracked = pmo.pointee.kind == .anonymous && isWrite && !isHot
        if try install(space, start, target, protection, tracked) {
            if !isWrite && pmo.pointee.kind == .anonymous {
                installNeighbours(region, start)
            }
            return
        }
        // The list of writable entries is full: a commit empties it.
        mustCheckpoint = true
        // If it is the one of entries to memory, a commit does not: the page has to leave.
        if case .memory(let hotPage) = target, hot.leaving == nil {
            hot.leaving = hot.pages.index(of: hotPage)
        }
    }

    /// Pages installed together at a read fault, at most.
    static var faultWindow: UInt64 { 16 * pageSize }

    /// Programs read code and data in runs: pages around the faulting one that exist are mapped
    /// too, read-only. A hint: stops at the first difficulty.
    private mutating func installNeighbours(
        _ region: RegionPointer, _ start: UserAddress
    ) {
        let space = region.pointee.space
        let low = UserAddress(start.value / Self.faultWindow * Self.faultWindow)
        var address = max(low, region.pointee.start)
        let end = min(low + Self.faultWindow, region.pointee.end)
        while address < end {
            defer { address = address + pageSize }
            if address == start
                || machine.lookUp(space.pointee.translation, address: address) != nil
            {
                continue
            }
            let page = region.pointee.page(at: address)
            let pmo = region.pointee.pmo
            var protection = region.pointee.protection
            let target: MappingTarget
            if let place = hotPlace(pmo, page) {
                target = .memory(hot.pages[place])
            } else {
                guard page < pmo.pointee.pageCount,
                    let state = try? store.pageState(page, of: pmo.pointee.tree)
                else { return }
                guard case .present(let frame, _) = state else { continue }
                target = .frame(frame)
                protection.remove(.write)
            }
            let isInstalled = machine.install(
                space.pointee.translation, address: address, target: target,
                protection: protection, tracked: false)
            if !isInstalled { return }
        }
    }

    private mutating func install(
        _ space: VMSpacePointer, _ address: UserAddress, _ target: MappingTarget,
        _ protection: Protection,
        _ tracked: Bool
    ) throws(NativeError) -> Bool {
        try ensureTranslation(space)
        return machine.install(
            space.pointee.translation, address: address, target: target, protection: protection,
            tracked: tracked)
    }

    /// An exception, or a fault that no page answers. A guest's goes to its server; a server's ends
    /// the thread.
    mutating func exception(core: Int, vector: UInt64, errorCode: UInt64, address: UserAddress) {
        guard let thread = cores[core].current else { return }
        if thread.pointee.isRestricted {
            leaveRestricted(
                thread, vector == 14 ? .pageFault : .exception, vector: vector,
                errorCode: errorCode,
                address: address)
            return
        }
        let line = faultReport(thread, vector: vector, address: address)
        if thread.pointee.group == rootGroup {
            stop(line, reason: 1)
        } else {
            line.write(to: machine)
            machine.debugWrite(10)
            endThread(thread)
        }
    }

    private func faultReport(_ thread: ThreadPointer, vector: UInt64, address: UserAddress)
        -> TextLine
    {
        var line = TextLine()
        line.append("server thread ")
        line.append(UInt64(thread.pointee.id.index & ~RecordClass.largeBit))
        line.append(" ended by exception ")
        line.append(vector)
        line.append(" at rip 0x")
        line.append(hex: thread.pointee.context.registers.rip)
        line.append(", address 0x")
        line.append(hex: address.value)
        line.append(", rsp 0x")
        line.append(hex: thread.pointee.context.registers.rsp)
        return line
    }
}
