import ABI
import Machine
import Store

/// How a page access ended.
enum PageAccess {
    case frame(FrameNumber)
    case device(UInt64)
    /// Reads as zeros; nothing holds it.
    case absent
}

/// The fault path: finds the region, makes the page what the access needs, installs the
/// translation. Allocates nothing but frames.
extension Kernel {
    mutating func pageFault(
        core: Int, address: UInt64, isWrite: Bool, isExecute: Bool, errorCode: UInt64
    ) {
        statistics.pageFaults &+= 1
        guard let thread = cores[core].current else { return }
        let space = thread.pointee.restrictedSpace ?? thread.pointee.space
        let needed: Protection = isWrite ? .write : isExecute ? .execute : .read
        if address >= UserAddress.lowest.value, address < UserAddress.limit.value,
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
        _ region: RegionPointer, address: UInt64, isWrite: Bool
    ) throws(NativeError) {
        let page = (region.pointee.offset + (address - region.pointee.start)) / pageSize
        let pmo = region.pointee.pmo
        let target: MappingTarget
        var protection = region.pointee.protection
        switch try access(pmo, page: page, isWrite: isWrite, fill: true) {
        case .device(let physical): target = .device(physical)
        case .absent: throw .notMapped
        case .frame(let frame):
            target = .frame(frame)
            // A clean page stays read-only until it is written.
            if !isWrite && pmo.pointee.kind == .anonymous { protection.remove(.write) }
        }
        let space = region.pointee.space
        let start = UserAddress(address / pageSize * pageSize)
        let tracked = pmo.pointee.kind == .anonymous && isWrite
        if try install(space, start, target, protection, tracked) {
            if !isWrite && pmo.pointee.kind == .anonymous {
                installNeighbours(region, start, protection)
            }
            return
        }
        // The list of writable entries is full: a commit empties it.
        mustCheckpoint = true
    }

    /// Pages installed together at a read fault, at most.
    static var faultWindow: UInt64 { 16 * pageSize }

    /// Programs read code and data in runs: pages around the faulting one that exist are mapped
    /// too, read-only. A hint: stops at the first difficulty.
    private mutating func installNeighbours(
        _ region: RegionPointer, _ start: UserAddress, _ protection: Protection
    ) {
        let space = region.pointee.space
        let low = start.value / Self.faultWindow * Self.faultWindow
        var address = max(low, region.pointee.start)
        let end = min(low + Self.faultWindow, region.pointee.end)
        while address < end {
            defer { address += pageSize }
            let place = UserAddress(address)
            if place == start || machine.lookUp(space.pointee.translation, address: place) != nil {
                continue
            }
            let page = (region.pointee.offset + (address - region.pointee.start)) / pageSize
            guard page < region.pointee.pmo.pointee.pageCount,
                let state = try? store.pageState(page, of: region.pointee.pmo.pointee.tree)
            else { return }
            guard case .present(let frame, _) = state else { continue }
            let isInstalled = machine.install(
                space.pointee.translation, address: place, target: .frame(frame),
                protection: protection,
                tracked: false)
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

    mutating func ensureTranslation(_ space: VMSpacePointer) throws(NativeError) {
        if !space.pointee.translation.isNone { return }
        guard let made = machine.makeTranslation() else { throw .noMemory }
        space.pointee.translation = made
    }

    /// A page of a PMO, ready to be read or written. `fill`: an absent page gets a frame even for a
    /// read.
    mutating func access(
        _ pmo: PMOPointer, page: UInt64, isWrite: Bool, fill: Bool
    ) throws(NativeError) -> PageAccess {
        guard page < pmo.pointee.pageCount else { throw .badAddress }
        switch pmo.pointee.kind {
        case .device: return .device(pmo.pointee.base + page * pageSize)
        case .eternal:
            return .frame(FrameNumber(UInt32(truncatingIfNeeded: pmo.pointee.base + page)))
        case .anonymous: break
        }
        do throws(StoreError) {
            if !isWrite {
                switch try store.pageState(page, of: pmo.pointee.tree) {
                case .present(let frame, _): return .frame(frame)
                case .absent: if !fill { return .absent }
                }
            }
            return .frame(try makeWritable(pmo, page: page))
        } catch { throw fail(error) }
    }

    /// The gate of every write to a versioned page. Keeps the PMO's account of promised frames.
    private mutating func makeWritable(_ pmo: PMOPointer, page: UInt64) throws(StoreError)
        -> FrameNumber
    {
        let before = store.promisedNet
        var tree = pmo.pointee.tree
        defer { settle(pmo, before, tree) }
        let outcome = try store.makeWritable(page, of: &tree, owners: owners)
        if case .copied = outcome {
            statistics.copyOnWrites &+= 1
            statistics.bytesWritten &+= pageSize
        }
        return outcome.frame
    }

    /// Brings a PMO's own account and tree up to date after the store worked on it.
    mutating func settle(_ pmo: PMOPointer, _ before: UInt64, _ tree: PageTree) {
        if store.promisedNet == before && tree == pmo.pointee.tree { return }
        pmo.pointee.tree = tree
        pmo.pointee.promised = pmo.pointee.promised &+ store.promisedNet &- before
        markDirty(pmo.pointee.id)
    }

    /// An exception, or a fault that no page answers. A guest's goes to its server; a server's ends
    /// the thread.
    mutating func exception(core: Int, vector: UInt64, errorCode: UInt64, address: UInt64) {
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

    private func faultReport(_ thread: ThreadPointer, vector: UInt64, address: UInt64) -> TextLine {
        var line = TextLine()
        line.append("server thread ")
        line.append(UInt64(thread.pointee.id.index & ~RecordClass.largeBit))
        line.append(" ended by exception ")
        line.append(vector)
        line.append(" at rip 0x")
        line.append(hex: thread.pointee.context.registers.rip)
        line.append(", address 0x")
        line.append(hex: address)
        line.append(", rsp 0x")
        line.append(hex: thread.pointee.context.registers.rsp)
        return line
    }
}
