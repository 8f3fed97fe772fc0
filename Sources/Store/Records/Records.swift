import ABI
import CPrimitives

/// Object records: what a checkpoint writes of each dirty kernel object.
///
/// An object has two slots. A checkpoint writes the one that the committed version does not need,
/// in two steps for all dirty objects together: *announce* (word 0 := the building version, flushed
/// and fenced), then the rest. So a slot whose checksum fails is told apart: announced for a
/// version that was never committed, it was torn; else it was damaged. Chosen by the same rule as
/// pages: greatest valid `born`.
///
/// Slot: word 0 born (checked); word 1 generation (bits 0–23), kind (24–31), payload words (32–47);
/// word 2 CRC32C of born, word 1 and the payload; then the payload.
/// Small slots have 128 bytes (13 payload words), large ones 1,024 (125).
public enum RecordClass {
    /// Bit of an object index that marks the large class.
    public static let largeBit: UInt32 = 1 << 23
    public static let smallPayloadWords = 13
    public static let largePayloadWords = 125
    static let headerWords: UInt64 = 3

    @inlinable public static func isLarge(_ index: UInt32) -> Bool { index & largeBit != 0 }
    static func slotBytes(large: Bool) -> UInt64 { large ? 1024 : 128 }
    static func pairsPerFrame(large: Bool) -> UInt64 { pageSize / (2 * slotBytes(large: large)) }
    /// Indices per class.
    static func capacity(large: Bool) -> UInt64 {
        min(1 << 22, pairsPerFrame(large: large) * 512 * 512)
    }
}

/// A record that was chosen and checked.
public struct RecordView: Sendable {
    public var born: Version
    public var generation: UInt32
    /// `ObjectKind` raw value; 0 is a tombstone.
    public var kind: UInt8
    public var wordCount: Int
    /// Which of the two slots it is in.
    public var slot: Int
    var payload: UInt64
}

extension Store {
    /// Offset of an object's first slot, or nil when no frame holds its place yet.
    public func recordOffset(_ index: UInt32) throws(StoreError) -> UInt64? {
        let large = RecordClass.isLarge(index)
        let number = UInt64(index & ~RecordClass.largeBit)
        let perFrame = RecordClass.pairsPerFrame(large: large)
        guard number < RecordClass.capacity(large: large) else { return nil }
        let frameIndex = number / perFrame
        let middle = try child(of: recordRoot(large: large), index: frameIndex / 512, owner: .none)
        if middle.isNone { return nil }
        let leaf = try child(of: middle, index: frameIndex % 512, owner: .none)
        if leaf.isNone { return nil }
        return leaf.offset + number % perFrame * 2 * RecordClass.slotBytes(large: large)
    }

    func recordRoot(large: Bool) -> FrameNumber {
        FrameNumber(StoreLayout.recordRoots.value + (large ? 1 : 0))
    }

    /// Makes room for an object's record, so that a checkpoint never has to.
    public mutating func ensureRecord<Owners: PageTreeOwners>(
        _ index: UInt32, owners: borrowing Owners
    ) throws(StoreError) {
        let large = RecordClass.isLarge(index)
        let number = UInt64(index & ~RecordClass.largeBit)
        guard number < RecordClass.capacity(large: large) else { throw .full }
        let frameIndex = number / RecordClass.pairsPerFrame(large: large)
        let root = recordRoot(large: large)
        var middle = try child(of: root, index: frameIndex / 512, owner: .none)
        if middle.isNone {
            middle = try allocateRecordNode(
                large: large, level: 1, index: frameIndex / 512, owners: owners)
            setChild(of: root, index: frameIndex / 512, to: middle)
        }
        if try child(of: middle, index: frameIndex % 512, owner: .none).isNone {
            let leaf = try allocateRecordNode(
                large: large, level: 0, index: frameIndex, owners: owners)
            setChild(of: middle, index: frameIndex % 512, to: leaf)
        }
    }

    private mutating func allocateRecordNode<Owners: PageTreeOwners>(
        large: Bool, level: UInt8, index: UInt64, owners: borrowing Owners
    ) throws(StoreError) -> FrameNumber {
        let stamp = FrameStamp(
            owner: .none, index: index, role: .recordNode(large: large, level: level))
        let frame = try allocate(stamp, promising: 1, owners: owners)
        if level == 0 { emptySlots(frame, large: large) } else { memory.fillLinks(frame, check) }
        memory.flush(frame.offset, length: pageSize)
        memory.fence()
        return frame
    }

    /// A frame of slots that nothing was written to: each says so.
    private func emptySlots(_ frame: FrameNumber, large: Bool) {
        memory.zeroFrame(frame)
        let bytes = RecordClass.slotBytes(large: large)
        for slot in 0..<(pageSize / bytes) {
            let offset = frame.offset + slot * bytes
            memory.store(check.seal48(0, at: offset), at: offset)
        }
    }

    /// The record of an object at a version: nil if it has none. Throws when what would be needed
    /// is damaged.
    public func record(_ index: UInt32, at limit: Version) throws(StoreError) -> RecordView? {
        guard let offset = try recordOffset(index) else { return nil }
        let bytes = RecordClass.slotBytes(large: RecordClass.isLarge(index))
        guard let first = check.open48(memory.load(offset), at: offset),
            let second = check.open48(memory.load(offset + bytes), at: offset + bytes)
        else { throw .damagedRecord(index: index) }
        let a = validBorn(Version(first), at: limit, history: history)
        let b = validBorn(Version(second), at: limit, history: history)
        if a == .never && b == .never { return nil }
        let slot = a >= b ? 0 : 1
        return try openRecord(
            offset + UInt64(slot) * bytes, index: index, slot: slot, born: max(a, b))
    }

    private func openRecord(
        _ offset: UInt64, index: UInt32, slot: Int, born: Version
    ) throws(StoreError) -> RecordView {
        let meta = memory.load(offset + 8)
        let wordCount = Int(meta >> 32 & 0xFFFF)
        let large = RecordClass.isLarge(index)
        let limit = large ? RecordClass.largePayloadWords : RecordClass.smallPayloadWords
        guard wordCount <= limit, meta >> 48 == 0 else { throw .damagedRecord(index: index) }
        let payload = offset + RecordClass.headerWords * 8
        var crc = memory.checksum(payload, words: wordCount, seed: check.seed)
        crc = evertree_crc32c_u64(crc, meta)
        crc = evertree_crc32c_u64(crc, born.value)
        guard memory.load(offset + 16) == UInt64(crc) else { throw .damagedRecord(index: index) }
        return RecordView(
            born: born, generation: UInt32(meta & 0xFF_FFFF), kind: UInt8(meta >> 24 & 0xFF),
            wordCount: wordCount, slot: slot, payload: payload)
    }

    /// Step one of writing a record: names the version that the slot is for. The caller fences once
    /// for all. The other slot holds what the sum of records counts for this object so far.
    public mutating func announceRecord(_ index: UInt32, slot: Int) throws(StoreError) {
        guard let base = try recordOffset(index) else { throw .damagedRecord(index: index) }
        let bytes = RecordClass.slotBytes(large: RecordClass.isLarge(index))
        let (offset, other) = (base + UInt64(slot) * bytes, base + UInt64(1 - slot) * bytes)
        guard let born = check.open48(memory.load(other), at: other) else {
            throw .damagedRecord(index: index)
        }
        assert(slot == 0 || slot == 1, "a record has two slots")
        assert(born < building.value, "both slots are of the version in the making")
        let before = validBorn(Version(born), at: committed, history: history)
        recordSum &+= VersionSum.change(of: UInt64(index), from: before, to: building)
        memory.store(check.seal48(building.value, at: offset), at: offset)
        memory.flush(offset, length: 8)
    }

    /// Step two: a writer for the announced slot's payload.
    public func recordWriter(_ index: UInt32, slot: Int) throws(StoreError) -> RecordWriter<Memory>
    {
        guard let base = try recordOffset(index) else { throw .damagedRecord(index: index) }
        let large = RecordClass.isLarge(index)
        let offset = base + UInt64(slot) * RecordClass.slotBytes(large: large)
        assert(
            check.open48(memory.load(offset), at: offset) == building.value
                && memory.isDurable(offset, length: 8), "a record is written before it is announced"
        )
        return RecordWriter(
            memory: memory, offset: offset, born: building, crc: check.seed,
            limit: large ? RecordClass.largePayloadWords : RecordClass.smallPayloadWords)
    }

    public func reader(of view: RecordView) -> RecordReader<Memory> {
        RecordReader(
            memory: memory, at: view.payload, end: view.payload + UInt64(view.wordCount) * 8)
    }
}

/// Writes a record's payload word by word; `finish` seals it.
public struct RecordWriter<Memory: PersistentMemory> {
    let memory: Memory
    let offset: UInt64
    let born: Version
    var crc: UInt32
    var count = 0
    let limit: Int

    init(memory: Memory, offset: UInt64, born: Version, crc: UInt32, limit: Int) {
        self.memory = memory
        self.offset = offset
        self.born = born
        self.crc = crc
        self.limit = limit
    }

    @inlinable public mutating func append(_ word: UInt64) { put(word) }

    @usableFromInline mutating func put(_ word: UInt64) {
        precondition(count < limit, "record payload too long")
        memory.store(word, at: offset + (RecordClass.headerWords + UInt64(count)) * 8)
        crc = evertree_crc32c_u64(crc, word)
        count += 1
    }

    /// Seals the slot and starts writing it back. Returns the bytes written.
    public mutating func finish(kind: UInt8, generation: UInt32) -> UInt64 {
        let meta = UInt64(generation & 0xFF_FFFF) | UInt64(kind) << 24 | UInt64(count) << 32
        crc = evertree_crc32c_u64(crc, meta)
        crc = evertree_crc32c_u64(crc, born.value)
        assert(generation >> 24 == 0, "a generation that the record cannot hold")
        memory.store(meta, at: offset + 8)
        memory.store(UInt64(crc), at: offset + 16)
        let bytes = (RecordClass.headerWords + UInt64(count)) * 8
        memory.flush(offset, length: bytes)
        return bytes
    }
}

/// Reads a checked record's payload; words past its end are 0, so that fields can be added.
public struct RecordReader<Memory: PersistentMemory> {
    let memory: Memory
    var at: UInt64
    let end: UInt64

    public mutating func next() -> UInt64 {
        if at >= end { return 0 }
        defer { at += 8 }
        return memory.load(at)
    }
}
