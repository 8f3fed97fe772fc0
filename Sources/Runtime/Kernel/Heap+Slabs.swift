// Slabs: pages cut into blocks of one size class. A slab with a free block is in its class's list.

extension Heap {
    mutating func allocateSmall(sizeClass: Int) -> UnsafeMutableRawPointer? {
        var page = slabHeads[sizeClass]
        if page == PageInfo.none {
            guard let fresh = takeRun(count: 1, alignmentPages: 1) else { return nil }
            page = fresh
            pages[Int(page)] = PageInfo(length: 1, state: .slab, sizeClass: UInt8(sizeClass))
            linkSlab(page)
        }
        let bytes = classes.blockBytes(sizeClass)
        let block = takeBlock(page: page, bytes: bytes)
        if pages[Int(page)].used == capacity(blockBytes: bytes) { unlinkSlab(page) }
        account(allocated: bytes)
        return UnsafeMutableRawPointer(bitPattern: address(page) + UInt(block) * UInt(bytes))
    }

    /// Returns false if the offset is not the start of a block that was handed out.
    mutating func freeSmall(offset: UInt32, page: UInt32) -> Bool {
        let bytes = classes.blockBytes(Int(pages[Int(page)].sizeClass))
        let block = offset / bytes
        guard block * bytes == offset, block < UInt32(pages[Int(page)].touched),
            pages[Int(page)].used > 0
        else { return false }
        link(page: page, offset: offset).pointee = pages[Int(page)].firstFree
        pages[Int(page)].firstFree = UInt16(block + 1)
        let wasFull = pages[Int(page)].used == capacity(blockBytes: bytes)
        pages[Int(page)].used -= 1
        if wasFull { linkSlab(page) }
        account(freed: bytes)
        if pages[Int(page)].used == 0 { releaseSlab(page) }
        return true
    }

    private mutating func takeBlock(page: UInt32, bytes: UInt32) -> UInt32 {
        let index = Int(page)
        pages[index].used += 1
        let first = pages[index].firstFree
        guard first != 0 else {
            pages[index].touched += 1
            return UInt32(pages[index].touched - 1)
        }
        let block = UInt32(first - 1)
        pages[index].firstFree = link(page: page, offset: block * bytes).pointee
        return block
    }

    /// An empty slab goes back to the pages, unless it is the only one of its class: the next
    /// allocation wants it.
    private mutating func releaseSlab(_ page: UInt32) {
        let info = pages[Int(page)]
        guard info.previous != PageInfo.none || info.next != PageInfo.none else { return }
        unlinkSlab(page)
        releaseRun(page, count: 1)
    }

    private func capacity(blockBytes: UInt32) -> UInt16 {
        UInt16(UInt32(Heap.pageBytes) / blockBytes)
    }

    /// The free-list link in the first two bytes of a free block.
    private func link(page: UInt32, offset: UInt32) -> UnsafeMutablePointer<UInt16> {
        let table = UnsafeMutableRawPointer(pages)
        let distance = Int(bitPattern: address(page)) - Int(bitPattern: table)
        return table.advanced(by: distance + Int(offset)).assumingMemoryBound(to: UInt16.self)
    }

    private mutating func linkSlab(_ page: UInt32) {
        let sizeClass = Int(pages[Int(page)].sizeClass)
        let next = slabHeads[sizeClass]
        pages[Int(page)].previous = PageInfo.none
        pages[Int(page)].next = next
        if next != PageInfo.none { pages[Int(next)].previous = page }
        slabHeads[sizeClass] = page
    }

    private mutating func unlinkSlab(_ page: UInt32) {
        let info = pages[Int(page)]
        if info.previous == PageInfo.none {
            slabHeads[Int(info.sizeClass)] = info.next
        } else {
            pages[Int(info.previous)].next = info.next
        }
        if info.next != PageInfo.none { pages[Int(info.next)].previous = info.previous }
        pages[Int(page)].previous = PageInfo.none
        pages[Int(page)].next = PageInfo.none
    }
}
