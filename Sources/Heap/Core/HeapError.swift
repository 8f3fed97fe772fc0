import PersistentMemory

/// Why a heap was refused, or an operation on it could not be done.
public enum HeapError: Error, Equatable, CustomStringConvertible {
    case notAHeap(path: String)
    case newerFormat(found: UInt32, supported: UInt32)
    case damagedHeader(detail: String)
    case truncated(expected: UInt64, found: UInt64)
    case wrongType(name: String, stored: String, asked: String)
    case changedLayout(type: String, stored: String, current: String)
    case damagedRecord(detail: String)
    case objectTooLarge(bytes: Int, limit: Int)
    case tooManyTypes(limit: Int)
    case full(limit: UInt64)
    case notLocked(offset: UInt64)
    case deadlock(cycle: [Int])
    case nestedAbort
    case noRoot(name: String)
    case closed
    case nativeTierRefused(reason: String)
    case noCheckpoint
    case damaged(file: String, offset: UInt64, detail: String)
    case foreignReference(heap: String, other: String?)
    case freedReference(heap: String, offset: UInt64)
    case backupRuns

    public var description: String {
        switch self {
        case .notAHeap(let path): "\(path) is not a persistent heap (its magic number is missing)"
        case .newerFormat(let found, let supported):
            "the heap has format \(found); this library reads up to \(supported). Use a newer library."
        case .damagedHeader(let detail): "both copies of the heap's header are damaged (\(detail))"
        case .truncated(let expected, let found):
            "the file holds \(found) bytes but its header says \(expected); it was truncated"
        case .wrongType(let name, let stored, let asked):
            "root \"\(name)\" holds a \(stored), not a \(asked)"
        case .changedLayout(let type, let stored, let current):
            "the layout of \(type) changed: the heap holds {\(stored)}, the program has {\(current)}. "
                + "Give `migrations:` a migration for it when opening the heap, or rename the type."
        case .damagedRecord(let detail): "a record of the heap fails its checksum: \(detail)"
        case .objectTooLarge(let bytes, let limit):
            "an object of \(bytes) bytes does not fit an arena (limit \(limit)); create the heap with a larger arena"
        case .tooManyTypes(let limit): "the heap or the process already knows \(limit) types"
        case .full(let limit):
            "the heap reached its limit of \(limit) bytes; open it with a larger `maximumSize`"
        case .notLocked(let offset):
            "a transaction stored to object 0x\(String(offset, radix: 16)) without holding its lock; call tx.lock first"
        case .deadlock(let cycle):
            "waiting for this lock would never end: transactions in lanes \(cycle) wait for one another"
        case .nestedAbort: "a nested transaction failed, so the one around it cannot commit"
        case .noRoot(let name): "there is no root named \"\(name)\""
        case .closed: "the heap is closed"
        case .noCheckpoint:
            "nothing can ask for a checkpoint now: set HeapOptions.checkpoint, or rely on the system's next one"
        case .foreignReference(let heap, let other):
            "a reference of the heap \(other ?? "(not open in this process)") was used in the heap \(heap); "
                + "copy the object instead"
        case .freedReference(let heap, let offset):
            "a reference to object 0x\(String(offset, radix: 16)) of the heap \(heap) was used after the object had been freed"
        case .damaged(let file, let offset, let detail):
            "the heap \(file) is damaged at 0x\(String(offset, radix: 16)): \(detail). Restore it from a copy."
        case .backupRuns: "a backup of this heap runs already"
        case .nativeTierRefused(let reason): "native objects are refused: \(reason)"
        }
    }
}
