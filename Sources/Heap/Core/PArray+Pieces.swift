import PersistentMemory

/// Arrays of more than one piece.
///
/// Pieces hold 2^`pieceShift` elements each. Directories have 1024 words; how many levels of them
/// there are follows from the number of pieces. The array's third word holds the elements there is
/// room for (bits 0 to 39) and how many pieces lie in the head (40 to 61): the buffer that the array
/// had before it grew in pieces, of any size, which stays where it is and is the entry of piece 0.
extension PArray {
    @inlinable static var mostPieceBytes: Int { 24576 }

    @inlinable static var pieceShift: Int {
        let most = mostPieceBytes / Swift.max(1, MemoryLayout<Element>.stride)
        return most <= 1 ? 0 : Int.bitWidth - 1 - most.leadingZeroBitCount
    }
    @inlinable static var perPiece: Int { 1 << pieceShift }

    @inlinable static var directoryShift: Int { 10 }
    @inlinable static var directoryWords: Int { 1 << directoryShift }

    /// Levels of directories above so many pieces.
    @inlinable static func height(_ pieces: Int) -> Int {
        var (height, most) = (1, directoryWords)
        while most < pieces, height < 5 {
            height &+= 1
            most <<= directoryShift
        }
        return height
    }

    @inlinable var pieces: Int { capacity >> Self.pieceShift }
    @inlinable var headPieces: Int { room >> 40 & 0x3F_FFFF }

    /// Where an element of an array in pieces lies.
    @inlinable @inline(never)
    func placeInPieces<Reader: HeapReading & ~Copyable>(
        _ index: Int, in reader: borrowing Reader
    ) -> UInt64 {
        let piece = index >> Self.pieceShift
        if piece < headPieces { return Self.place(entry(0, in: reader), index) }
        return Self.place(entry(piece, in: reader), index & (Self.perPiece &- 1))
    }

    /// Where a piece lies.
    @inlinable func entry<Reader: HeapReading & ~Copyable>(
        _ piece: Int, in reader: borrowing Reader
    ) -> UInt64 {
        var level = Self.height(pieces)
        var node = PieceReference.offset(buffer)
        repeat {
            level &-= 1
            node = reader.load(
                node &+ UInt64(truncatingIfNeeded: Self.wordOffset(piece, level: level)))
            if node == 0 { reader.stop(damagedAt: buffer, "an array has no piece \(piece)") }
        } while level > 0
        return node
    }

    /// Where a directory's word for a piece lies in it.
    @inlinable static func wordOffset(_ piece: Int, level: Int) -> Int {
        (piece >> (directoryShift &* level) & (directoryWords &- 1)) &* 8
    }
}

extension PArrayEditor {
    @usableFromInline typealias Stored = PArray<Element>

    /// The array without its count: two words, which a transaction finds faster than three.
    @inlinable func parts(_ buffer: UInt64) -> Stored {
        var array = Stored()
        array.buffer = buffer
        array.room = place.get(16)
        return array
    }

    /// Makes room for one element more: a small buffer grows to twice its size, a larger array by a
    /// piece.
    @inlinable @inline(never) func makeRoom() throws {
        let count = self.count
        if !value.isInPieces, count < Stored.perPiece {
            try growBuffer(to: Swift.min(Swift.max(4, count * 2), Stored.perPiece))
        } else {
            try growPieces(to: count + 1)
        }
    }

    /// Adds pieces until there is room for `minimum` elements.
    @inlinable func growPieces(to minimum: Int) throws {
        guard minimum < 1 << 40 else {
            throw HeapError.objectTooLarge(bytes: minimum, limit: 1 << 40)
        }
        if !value.isInPieces { try beginPieces() }
        while value.capacity < minimum { try addPiece() }
    }

    /// What was one buffer becomes the head. Its last elements move if they fill no whole piece.
    @inlinable func beginPieces() throws {
        if capacity < Stored.perPiece { try growBuffer(to: Stored.perPiece) }
        let old = value
        old.check(in: LaneReader(lane: place.location.lane))
        let head = old.capacity >> Stored.pieceShift
        guard head < 1 << 22 else {
            throw HeapError.objectTooLarge(bytes: head, limit: 1 << 22)
        }
        let (lane, heap) = (place.location.lane, place.heap)
        let directory = try heap.makeDirectory(Stored.directoryWords, in: lane)
        lane.store(old.buffer, at: directory)
        var new = old
        new.buffer = directory | PieceReference.directory
        new.room = head << Stored.pieceShift | head << 40
        // The directory of a long head has words for its pieces, which nothing reads.
        var height = 1
        while height < Stored.height(head) {
            let above = try heap.makeDirectory(Stored.directoryWords, in: lane)
            lane.store(PieceReference.offset(new.buffer), at: above)
            new.buffer = above | PieceReference.directory
            height += 1
        }
        let rest = old.storedCount - new.capacity
        place.set(0, new)
        guard rest > 0 else { return }
        try addPiece()
        let stride = MemoryLayout<Element>.stride
        let target = value.placeInPieces(new.capacity, in: LaneReader(lane: lane))
        let source = Stored.place(old.buffer, new.capacity)
        lane.read(source, rest * stride, into: heap.base + Int(target))
    }

    /// One piece more, with the directories above it.
    @inlinable func addPiece() throws {
        let (lane, heap) = (place.location.lane, place.heap)
        let array = value
        let piece = array.pieces
        let bytes = MemoryLayout<Element>.stride << Stored.pieceShift
        let new = try heap.allocateBuffer(Element.persistentLayout, bytes: bytes, in: lane)
        var level = Stored.height(piece + 1)
        var node = PieceReference.offset(array.buffer)
        if level > Stored.height(piece) {
            let top = try heap.makeDirectory(Stored.directoryWords, in: lane)
            lane.store(node, at: top)
            node = top
            place.set(0, top | PieceReference.directory)
        }
        while level > 1 {
            level -= 1
            let at = lane.checked(node + UInt64(Stored.wordOffset(piece, level: level)), 8)
            node = lane.load(at)
            if node == 0 {
                node = try heap.makeDirectory(Stored.directoryWords, in: lane)
                lane.store(node, at: at)
            }
        }
        lane.store(new, at: lane.checked(node + UInt64(Stored.wordOffset(piece, level: 0)), 8))
        place.set(16, array.room + Stored.perPiece)
    }

    /// Gives all memory of the array back when the transaction has committed.
    @inlinable func freeAll() {
        let array = value
        if !array.isInPieces {
            if array.buffer != 0 { place.heap.freeLater(array.buffer) }
            return
        }
        let reader = LaneReader(lane: place.location.lane)
        array.check(in: reader)
        place.heap.freeLater(array.entry(0, in: reader))
        for piece in Swift.max(1, array.headPieces)..<Swift.max(1, array.pieces) {
            place.heap.freeLater(array.entry(piece, in: reader))
        }
        freeDirectories(PieceReference.offset(array.buffer), Stored.height(array.pieces))
    }

    @inlinable func freeDirectories(_ node: UInt64, _ height: Int) {
        place.heap.freeLater(node)
        guard height > 1 else { return }
        let lane = place.location.lane
        for word in 0..<Stored.directoryWords {
            let below: UInt64 = lane.load(lane.checked(node + UInt64(word * 8), 8))
            if below != 0 { freeDirectories(below, height - 1) }
        }
    }
}
