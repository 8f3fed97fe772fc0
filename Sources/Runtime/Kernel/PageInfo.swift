/// What the heap knows of one page. 20 bytes; zero-filled memory means "never used".
struct PageInfo {
    enum State: UInt8 {
        case fresh = 0
        case freeHead, freeTail, usedHead, usedTail, slab
    }
    /// "No page" in a link.
    static let none = UInt32.max

    /// Pages in the run, at its first and last page.
    var length: UInt32 = 0
    /// Links of the list that this page's run is in (free runs of one bin, slabs of one class).
    var previous: UInt32 = PageInfo.none
    var next: UInt32 = PageInfo.none
    /// Slab: first block of the free list, as index + 1; 0 = empty.
    var firstFree: UInt16 = 0
    /// Slab: blocks that were handed out at least once; those behind are free too.
    var touched: UInt16 = 0
    /// Slab: blocks in use.
    var used: UInt16 = 0
    var state: State = .fresh
    var sizeClass: UInt8 = 0
}

/// The block sizes of slabs: four steps for each power of two, then what divides a page with little
/// waste.
struct SizeClasses {
    static let count = 21
    private var sizes = InlineArray<32, UInt16>(repeating: 0)
    /// Class of a size, by its number of 16-byte units.
    private var classOfUnits = InlineArray<129, UInt8>(repeating: 0)

    init() {
        var index = 0
        func add(_ size: UInt16) {
            sizes[index] = size
            index += 1
        }
        for step: UInt16 in 1...8 { add(step * 16) }
        for step: UInt16 in 5...8 { add(step * 32) }
        for step: UInt16 in 5...8 { add(step * 64) }
        add(672)
        add(816)
        add(1024)
        add(1360)
        add(2048)
        var sizeClass = 0
        for units in 1...128 {
            while Int(sizes[sizeClass]) < units * 16 { sizeClass += 1 }
            classOfUnits[units] = UInt8(sizeClass)
        }
    }

    /// The smallest class for a size of 0…2048 bytes.
    func index(size: UInt) -> Int { Int(classOfUnits[Int((max(size, 1) + 15) / 16)]) }
    /// Bytes in a block of a class.
    func blockBytes(_ sizeClass: Int) -> UInt32 { UInt32(sizes[sizeClass]) }
}
