import CPersistentMemory
import PersistentMemory

/// How values of an older layout become values of the current one.
///
/// Describe the older layout as a structure of its own with the same stable name:
/// ```swift
/// @Persistent("Account") struct AccountV1 { var cents: Int }
/// @Persistent struct Account { var cents: Int; var currency: Int }
/// options.migrations = [
///     Migration(from: AccountV1.self, to: Account.self) {
///         Account(cents: $0.cents, currency: 0)
///     }
/// ]
/// ```
public struct Migration: Sendable {
    let old: TypeLayout
    let new: TypeLayout
    let convert: @Sendable (UnsafeRawPointer, UnsafeMutableRawPointer) -> Void

    public init<Old: PersistentObject & SendableMetatype, New: PersistentObject & SendableMetatype>(
        from: Old.Type, to: New.Type, _ convert: @escaping @Sendable (Old) -> New
    ) {
        old = Old.persistentLayout
        new = New.persistentLayout
        self.convert = { source, target in
            target.initializeMemory(
                as: New.self, to: convert(source.assumingMemoryBound(to: Old.self).pointee))
        }
    }
}

/// Rewrites a heap for one migration, in one undo transaction: a crash in the middle undoes all of
/// it, and the next open begins again.
///
/// Every reachable object of the old type gets a successor of the new type; every reference to it,
/// and every root, is redirected. The old objects become unreachable, and the collector takes them.
struct MigrationRun {
    let heap: PersistentHeap
    let migration: Migration
    let oldNumber: Int
    let newNumber: Int
    private var successors: [UInt64: UInt64] = [:]
    private var reachable: [UInt64] = []

    init(_ heap: PersistentHeap, _ migration: Migration, from oldNumber: Int, to newNumber: Int) {
        self.heap = heap
        self.migration = migration
        self.oldNumber = oldNumber
        self.newNumber = newNumber
    }

    mutating func run() throws {
        findReachable()
        try heap.transaction(.undo) { tx in
            for object in reachable where heap.object(at: object)?.span.type == oldNumber {
                let successor = try heap.allocateSlowly(
                    type: newNumber, bytes: migration.new.size, in: tx.lane)
                migration.convert(heap.base + Int(object), heap.base + Int(successor))
                successors[object] = successor
            }
            redirect(tx)
            try redirectRoots(tx)
            retireOldRecord(tx)
        }
    }

    /// Says, in the same transaction, that no object of the old layout is left.
    private func retireOldRecord(_ tx: borrowing Transaction) {
        let (record, offset) = heap.registry.withLock {
            ($0.records[oldNumber], $0.offsets[oldNumber])
        }
        guard var record, let offset else { return }
        record.flags |= TypeRecord.isRetiredFlag
        let words = record.encoded()
        tx.lane.store(words[0], at: offset + 8)
        tx.lane.store(words[5], at: offset + 48)
        heap.registry.withLock { $0.records[oldNumber] = record }
    }

    private mutating func findReachable() {
        var seen: Set<UInt64> = []
        var work = (0..<HeapFormat.anchorWords).map {
            heap.region.load(heap.geometry.anchor + UInt64($0 * 8))
        }
        while let offset = work.popLast() {
            guard heap.object(at: offset) != nil, seen.insert(offset).inserted else { continue }
            reachable.append(offset)
            for slot in heap.referenceSlots(of: offset) {
                work.append(heap.offset(ofReference: heap.region.load(slot)))
            }
        }
    }

    private func redirect(_ tx: borrowing Transaction) {
        for object in reachable {
            for slot in heap.referenceSlots(of: object) {
                if let successor = successor(of: heap.region.load(slot)) {
                    tx.lane.store(successor, at: slot)
                }
            }
        }
        // Successors were made from old values: they refer to old objects too, and are new, so need
        // no log.
        for object in successors.values {
            for slot in heap.referenceSlots(of: object) {
                if let successor = successor(of: heap.region.load(slot)) {
                    heap.region.store(successor, at: slot)
                }
            }
        }
    }

    /// What a word that refers to an old object becomes; it keeps the tag.
    private func successor(of word: UInt64) -> UInt64? {
        successors[heap.offset(ofReference: word)].map {
            $0 | word & (~LaneFormat.offsetMask | PieceReference.bits)
        }
    }

    private func redirectRoots(_ tx: borrowing Transaction) throws {
        for (at, record) in try heap.roots(in: tx) where record.type == UInt64(oldNumber) {
            var new = record
            new.type = UInt64(newNumber)
            tx.lane.store(new.type, at: at + 32)
            tx.lane.store(new.checksum, at: at + 40)
        }
    }
}

extension PersistentHeap {
    /// Offsets of the words of an object that hold references.
    func referenceSlots(of offset: UInt64) -> [UInt64] {
        guard let object = object(at: offset) else { return [] }
        let type = state.pointee.types[object.span.type]
        guard let slots = type.slots, type.stride > 0 else { return [] }
        let values = type.isArray ? object.bytes / Int(type.stride) : 1
        return (0..<values).flatMap { value in
            (0..<type.slotCount).map { index in
                offset + UInt64(value) * UInt64(type.stride)
                    + UInt64(slots[index] & ~UInt32(TypeLayout.conservative))
            }
        }
    }

    /// Runs the migrations whose old layout the heap holds.
    func migrate() throws -> [String] {
        var migrated: [String] = []
        for migration in options.migrations {
            let stored = registry.withLock { registry in
                registry.records.values.first {
                    $0.name == migration.old.name && $0.fingerprint == migration.old.fingerprint
                        && !$0.isArray && !$0.isRetired
                }
            }
            guard let stored, stored.fingerprint != migration.new.fingerprint else { continue }
            let isInArrays = registry.withLock { $0.numbers["[\(migration.old.name)]"] != nil }
            guard !isInArrays else {
                throw HeapError.changedLayout(
                    type: "[\(stored.name)]", stored: stored.text,
                    current: TypeRecord.describe(migration.new))
            }
            let number = try registry.withLock { registry in
                let newest = registry.numbers[stored.name].flatMap { registry.records[$0] }
                // A crash after an earlier attempt may have left the record behind.
                if let newest, newest.fingerprint == migration.new.fingerprint {
                    return newest.number
                }
                return try add(
                    TypeRecord(number: registry.next, layout: migration.new, isArray: false),
                    to: &registry)
            }
            var run = MigrationRun(self, migration, from: stored.number, to: number)
            try run.run()
            migrated.append(stored.name)
        }
        return migrated
    }
}
