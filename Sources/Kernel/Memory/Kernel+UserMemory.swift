import ABI
import Machine
import Store

/// A place in a PMO or a VM space that a call names: an allegation until a page of it is looked up.
enum MemoryPlace {
    case pmo(PMOPointer, offset: UInt64)
    case space(VMSpacePointer, address: UserAddress)

    func advanced(by count: UInt64) -> MemoryPlace {
        switch self {
        case .pmo(let pmo, let offset): .pmo(pmo, offset: offset &+ count)
        case .space(let space, let address): .space(space, address: address.wrapping(count))
        }
    }
    var offsetInPage: UInt64 {
        switch self {
        case .pmo(_, let offset): offset % pageSize
        case .space(_, let address): address.offsetInPage
        }
    }
}

/// All access of the kernel to user memory. Works on frames through the NVM window, never through
/// user addresses, so it cannot fault; and every write goes through the same gate as a program's
/// own.
extension Kernel {
    /// The frame at a place, for reading (absent pages allowed) or writing.
    mutating func frame(
        at place: MemoryPlace, isWrite: Bool
    ) throws(NativeError) -> PageFrame? {
        let found: PageAccess
        switch place {
        case .pmo(let pmo, let offset):
            found = try access(pmo, page: offset / pageSize, isWrite: isWrite, fill: false)
        case .space(let space, let address):
            if let hit = translated(space, address, isWrite: isWrite) { return hit }
            guard address < UserAddress.limit, let region = region(space, at: address),
                permits(region, isWrite ? .write : .read)
            else { throw .badAddress }
            let page = region.pointee.page(at: address)
            found = try access(region.pointee.pmo, page: page, isWrite: isWrite, fill: false)
        }
        switch found {
        case .frame(let frame): return frame
        case .absent: return nil
        case .device: throw .badAddress
        }
    }

    /// What the processor's translation already knows. A writable entry means that the page is
    /// dirty in this version, or in DRAM.
    private func translated(_ space: VMSpacePointer, _ address: UserAddress, isWrite: Bool)
        -> PageFrame?
    {
        guard !space.pointee.translation.isNone, address < UserAddress.limit,
            let entry = machine.lookUp(space.pointee.translation, address: address),
            entry.writable || !isWrite
        else { return nil }
        if isWrite, let page = entry.frame.memory {
            hot.pages.noteWritten(hot.pages.index(of: page))
        }
        return entry.frame
    }

    mutating func readUser(
        _ space: VMSpacePointer, _ address: UserAddress, into buffer: UnsafeMutableRawBufferPointer
    ) throws(NativeError) {
        var done = 0
        while done < buffer.count {
            let at = address.wrapping(UInt64(done))
            let piece = min(buffer.count - done, Int(pageSize - at.offsetInPage))
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<(done + piece)])
            if let frame = try frame(at: .space(space, address: at), isWrite: false) {
                frame.read(at.offsetInPage, into: part, from: store.memory)
            } else {
                part.initializeMemory(as: UInt8.self, repeating: 0)
            }
            done += piece
        }
    }

    mutating func writeUser(
        _ space: VMSpacePointer, _ address: UserAddress, from buffer: UnsafeRawBufferPointer
    ) throws(NativeError) {
        var done = 0
        while done < buffer.count {
            let at = address.wrapping(UInt64(done))
            let piece = min(buffer.count - done, Int(pageSize - at.offsetInPage))
            guard let frame = try frame(at: .space(space, address: at), isWrite: true) else {
                throw .badAddress
            }
            let part = UnsafeRawBufferPointer(rebasing: buffer[done..<(done + piece)])
            frame.write(part, at: at.offsetInPage, in: store.memory)
            done += piece
        }
    }

    mutating func readWord(_ space: VMSpacePointer, _ address: UserAddress) throws(NativeError)
        -> UInt64
    {
        var word: UInt64 = 0
        try withUnsafeMutableBytes(of: &word) { bytes throws(NativeError) in
            try readUser(space, address, into: bytes)
        }
        return word
    }

    mutating func writeWord(_ space: VMSpacePointer, _ address: UserAddress, _ value: UInt64)
        throws(NativeError)
    {
        var word = value
        try withUnsafeMutableBytes(of: &word) { bytes throws(NativeError) in
            try writeUser(space, address, from: UnsafeRawBufferPointer(bytes))
        }
    }

    /// Copies between two places, page piece by page piece; returns the bytes copied, less than
    /// asked when a page cannot be had or the version's lists are full. Throws only if nothing was
    /// copied.
    mutating func copy(
        from source: MemoryPlace, to destination: MemoryPlace, length: UInt64
    ) throws(NativeError) -> UInt64 {
        var done: UInt64 = 0
        while done < length {
            if mustMakeRoom {
                if done > 0 { return done }
                throw .again
            }
            let from = source.advanced(by: done)
            let to = destination.advanced(by: done)
            let room = pageSize - max(from.offsetInPage, to.offsetInPage)
            let piece = min(length - done, room)
            do throws(NativeError) {
                try copyPiece(from: from, to: to, length: piece)
            } catch {
                if done > 0 { return done }
                throw error
            }
            done += piece
        }
        return done
    }

    private mutating func copyPiece(
        from: MemoryPlace, to: MemoryPlace, length: UInt64
    ) throws(NativeError) {
        let source = try frame(at: from, isWrite: false)
        if source == nil, length == pageSize, case .pmo = to,
            try frame(at: to, isWrite: false) == nil
        {
            return
        }
        guard let target = try frame(at: to, isWrite: true) else { throw .badAddress }
        guard let source else {
            return target.zero(to.offsetInPage, length: length, in: store.memory)
        }
        target.copy(
            length, to: to.offsetInPage, from: source, at: from.offsetInPage, in: store.memory)
    }
}
