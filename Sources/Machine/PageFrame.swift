import ABI
import Store

/// A page of DRAM that mappings may lead to, by the kernel's own address of its first byte.
public struct MemoryPage: Equatable, Sendable {
    public let address: UInt
    @inlinable public init(address: UInt) { self.address = address }

    /// Its 4,096 bytes.
    @inlinable public var bytes: UnsafeMutableRawPointer {
        guard let pointer = UnsafeMutableRawPointer(bitPattern: address) else {
            preconditionFailure("a page of memory at address 0")
        }
        return pointer
    }
}

/// Where the content of a page is while programs run. One word, since calls pass many: a number of a
/// frame, which has 32 bits, or an address, which has more.
public struct PageFrame: Equatable, Sendable {
    @usableFromInline let word: UInt64

    /// A frame of the NVM region.
    @inlinable public init(_ frame: FrameNumber) { word = UInt64(frame.value) }
    /// A hot page's place in DRAM; its frames on NVM hold what older versions need.
    @inlinable public init(_ page: MemoryPage) {
        word = UInt64(page.address)
        assert(word > UInt64(UInt32.max), "a page of DRAM where frame numbers are")
    }

    @inlinable public var memory: MemoryPage? {
        word > UInt64(UInt32.max) ? MemoryPage(address: UInt(word)) : nil
    }
    @inlinable public var frame: FrameNumber? {
        word > UInt64(UInt32.max) ? nil : FrameNumber(UInt32(truncatingIfNeeded: word))
    }
    /// The frame of what is not in DRAM.
    @inlinable var nvmFrame: FrameNumber { FrameNumber(UInt32(truncatingIfNeeded: word)) }

    /// The word at an aligned offset in the page.
    public func load(_ offset: UInt64, from nvm: borrowing some PersistentMemory) -> UInt64 {
        guard let memory else { return nvm.load(nvmFrame.offset + offset) }
        return memory.bytes.load(fromByteOffset: Int(offset), as: UInt64.self)
    }

    /// Stores a word at an aligned offset in the page.
    public func store(
        _ value: UInt64, at offset: UInt64, in nvm: borrowing some PersistentMemory
    ) {
        guard let memory else { return nvm.store(value, at: nvmFrame.offset + offset) }
        memory.bytes.storeBytes(of: value, toByteOffset: Int(offset), as: UInt64.self)
    }

    /// Copies bytes of the page out.
    @inlinable public func read(
        _ offset: UInt64, into buffer: UnsafeMutableRawBufferPointer,
        from nvm: borrowing some PersistentMemory
    ) {
        guard let memory else { return nvm.read(nvmFrame.offset + offset, into: buffer) }
        assert(offset + UInt64(buffer.count) <= pageSize, "bytes behind a page's end")
        buffer.copyMemory(
            from: UnsafeRawBufferPointer(start: memory.bytes + Int(offset), count: buffer.count))
    }

    /// Copies bytes into the page.
    @inlinable public func write(
        _ bytes: UnsafeRawBufferPointer, at offset: UInt64,
        in nvm: borrowing some PersistentMemory
    ) {
        guard let memory else { return nvm.write(bytes, at: nvmFrame.offset + offset) }
        assert(offset + UInt64(bytes.count) <= pageSize, "bytes behind a page's end")
        UnsafeMutableRawBufferPointer(start: memory.bytes + Int(offset), count: bytes.count)
            .copyMemory(from: bytes)
    }

    /// Zeros bytes of the page.
    public func zero(
        _ offset: UInt64, length: UInt64, in nvm: borrowing some PersistentMemory
    ) {
        guard let memory else { return nvm.zero(nvmFrame.offset + offset, length: length) }
        (memory.bytes + Int(offset)).initializeMemory(
            as: UInt8.self, repeating: 0, count: Int(length))
    }

    /// Copies bytes of a page to this one: the ranges stay in the pages.
    public func copy(
        _ length: UInt64, to offset: UInt64, from source: PageFrame, at start: UInt64,
        in nvm: borrowing some PersistentMemory
    ) {
        if let page = source.memory {
            let bytes = UnsafeRawBufferPointer(start: page.bytes + Int(start), count: Int(length))
            write(bytes, at: offset, in: nvm)
        } else if let memory {
            let part = UnsafeMutableRawBufferPointer(
                start: memory.bytes + Int(offset), count: Int(length))
            source.read(start, into: part, from: nvm)
        } else if length == pageSize {
            nvm.copyFrame(from: source.nvmFrame, to: nvmFrame)
        } else {
            nvm.copy(
                from: source.nvmFrame.offset + start, to: nvmFrame.offset + offset,
                length: length)
        }
    }
}

/// The consecutive pages of DRAM that mappings may lead to, and one bit for each: whether it was
/// written since the bit was last cleared. Page n has bit n % 64 of word n / 64.
public struct WatchedPages {
    public let base: UnsafeMutableRawPointer
    public let count: Int
    public let written: UnsafeMutablePointer<UInt64>
    public init(
        base: UnsafeMutableRawPointer, count: Int, written: UnsafeMutablePointer<UInt64>
    ) {
        self.base = base
        self.count = count
        self.written = written
    }

    public subscript(index: Int) -> MemoryPage {
        MemoryPage(address: UInt(bitPattern: base) + UInt(index) * UInt(pageSize))
    }
    public func index(of page: MemoryPage) -> Int {
        let index = Int((page.address - UInt(bitPattern: base)) / UInt(pageSize))
        assert(index < count, "a page that is not watched")
        return index
    }
    public func isWritten(_ index: Int) -> Bool {
        written[index / 64] >> UInt64(index % 64) & 1 != 0
    }
    public func noteWritten(_ index: Int) { written[index / 64] |= 1 << UInt64(index % 64) }
    public func clear(_ index: Int) { written[index / 64] &= ~(1 << UInt64(index % 64)) }
}
