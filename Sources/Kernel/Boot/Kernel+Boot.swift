import ABI
import Machine
import Store

extension Kernel {
    /// The line on which the outside rings (COM2's interrupt).
    public static var doorbellLine: UInt8 { 3 }

    /// Restores the committed version, or starts the first process from the boot bundle if the
    /// store is new. Returns false when the machine was stopped with a reason.
    public mutating func boot(bundle: UnsafeRawBufferPointer) -> Bool {
        let start = machine.monotonicNanoseconds()
        let isNew = store.lastCommit.rootGroup.isNone
        do throws(StoreError) {
            if !store.beginIncarnation() { try store.scrub() }
            if !isNew { try restore() }
        } catch {
            stop(error)
            return false
        }
        if isNew {
            do throws(NativeError) { try startFirstProcess(bundle) } catch {
                var line = text("cannot start the first process: error ")
                line.append(UInt64(error.rawValue))
                line.append(". Is the boot bundle complete, and the store large enough?")
                stop(line, reason: 3)
                return false
            }
        }
        noteBoot(restored: !isNew, nanoseconds: machine.monotonicNanoseconds() &- start)
        nextCheckpoint = now
        return !isStopped
    }

    /// A larger bundle would dirty more pages than one version can.
    static var bundleLimit: Int { 192 << 20 }

    private mutating func startFirstProcess(_ bundle: UnsafeRawBufferPointer) throws(NativeError) {
        if bundle.count > Self.bundleLimit { throw .badArgument }
        let group = try makeGroup()
        let space = try makeSpace()
        group.pointee.name[0] = 0x746F_6F72  // "root"
        let program = try BundleReader(bundle).firstFile()
        let entry = try loadProgram(program, into: space)
        let stackPages: UInt64 = 256
        let stack = try makePMO(pageCount: stackPages)
        let top = UserAddress(0x7F_F000_0000)
        try map(
            space, UserAddress(top.value - stackPages * pageSize)..<top, pmo: stack, offset: 0,
            protection: [.read, .write],
            limit: [.read, .write])
        let thread = try makeThread(group: group, space: space)
        thread.pointee.context.registers.rip = entry
        thread.pointee.context.registers.rsp = top.value - 16
        thread.pointee.context.registers.rdi = UInt64(bundle.count)
        thread.pointee.context.registers.rsi = 1
        let copy = try makePMO(pageCount: max(1, (UInt64(bundle.count) + pageSize - 1) / pageSize))
        try fill(copy, offset: 0, with: bundle)
        try giveRootCapabilities(group, space, thread, copy)
        rootGroup = group
        runQueue.append(thread)
    }

    /// In the order of `RootSlot`.
    private mutating func giveRootCapabilities(
        _ group: CapGroupPointer, _ space: VMSpacePointer, _ thread: ThreadPointer,
        _ bundle: PMOPointer
    ) throws(NativeError) {
        let output = try makeEternal(StoreLayout.outputRing, StoreLayout.outputRingFrames)
        let input = try makeEternal(StoreLayout.inputRing, StoreLayout.inputRingFrames)
        addRing(output, .consoleOutput)
        addRing(input, .consoleInput)
        let bell = try makeIRQNotification(line: Kernel.doorbellLine)
        doorbell = bell
        system = try newIdentity(large: false)
        guard let authority = systems.allocate(SystemAuthority(id: system)) else {
            throw noRoom(system)
        }
        attach(.system, authority)
        let counters = try makeEternal(StoreLayout.serverStatistics, 1)
        _ = try insert(group.pointee.id, rights: .all, into: group)
        _ = try insert(space.pointee.id, rights: .all, into: group)
        _ = try insert(thread.pointee.id, rights: .all, into: group)
        _ = try insert(bundle.pointee.id, rights: .all, into: group)
        _ = try insert(output.pointee.id, rights: .all, into: group)
        _ = try insert(input.pointee.id, rights: .all, into: group)
        _ = try insert(bell.pointee.id, rights: .all, into: group)
        _ = try insert(system, rights: .all, into: group)
        _ = try insert(counters.pointee.id, rights: .all, into: group)
        let area = store.layout.image
        if area.isEmpty { return }
        let image = try makeEternal(FrameNumber(area.lowerBound), store.layout.imageFrames)
        _ = try insert(image.pointee.id, rights: [.read, .execute, .grant], into: group)
    }

    private mutating func makeEternal(_ first: FrameNumber, _ frames: UInt32) throws(NativeError)
        -> PMOPointer
    {
        try makePMO(pageCount: UInt64(frames), backing: .eternal(first: first))
    }

    /// Loads the `PT_LOAD` segments of a static ELF64 executable (System V ABI, gABI chapter 5).
    /// Returns its entry.
    private mutating func loadProgram(
        _ program: UnsafeRawBufferPointer, into space: VMSpacePointer
    ) throws(NativeError) -> UInt64 {
        let image = try ProgramImage(program)
        for index in 0..<image.segmentCount {
            guard let segment = try image.segment(index) else { continue }
            let start = segment.address.pageStart
            let end = (segment.address + (segment.memorySize + pageSize - 1)).pageStart
            let pmo = try makePMO(pageCount: (end - start) / pageSize)
            try fill(pmo, offset: segment.address.offsetInPage, with: segment.content)
            try map(
                space, start..<end, pmo: pmo, offset: 0, protection: segment.protection,
                limit: [.read, .write, .execute])
        }
        return image.entry
    }

    private mutating func fill(
        _ pmo: PMOPointer, offset: UInt64, with bytes: UnsafeRawBufferPointer
    ) throws(NativeError) {
        var done = 0
        while done < bytes.count {
            // The first version must hold all of it: nothing can be committed before the first
            // process is whole.
            if store.mustCommit { throw .noMemory }
            let at = offset + UInt64(done)
            let piece = min(bytes.count - done, Int(pageSize - at % pageSize))
            guard
                case .frame(let place) = try access(
                    pmo, page: at / pageSize, isWrite: true, fill: true),
                let frame = place.frame
            else { throw .badArgument }
            store.memory.write(
                UnsafeRawBufferPointer(rebasing: bytes[done..<(done + piece)]),
                at: frame.offset + at % pageSize)
            store.memory.flush(frame.offset, length: pageSize)
            done += piece
        }
    }
}
