import PersistentMemory

/// Why an object, a pointer or a space was refused.
public enum ObjectError: Error, Equatable, CustomStringConvertible {
    case system(call: String, path: String, code: Int32)
    case notASpace(path: String, detail: String)
    case notAnObject(id: ObjectID, found: UInt64)
    case otherFormat(id: ObjectID, found: UInt64, supported: UInt64)
    case damaged(id: ObjectID, String)
    case damagedSpace(String)
    case wrongIdentity(id: ObjectID, computed: ObjectID)
    case noObject(id: ObjectID)
    case noName(String)
    case nameExists(String)
    case notANamespace(String)
    case wrongType(id: ObjectID, stored: String, asked: String)
    case deleted(id: ObjectID)
    case immutable(id: ObjectID)
    case nullPointer(holder: ObjectID, offset: UInt64)
    case noEntry(holder: ObjectID, index: Int)
    case outside(id: ObjectID, offset: UInt64, bytes: Int)
    case full(id: ObjectID, capacity: UInt64)
    case tableFull(id: ObjectID)
    case tooManyObjects(limit: Int)
    case badCapacity(UInt64)
    case noResolver(number: UInt64, name: String)
    case notAnArchive(String)
    case refusedOption(String)
    case closed

    public var description: String {
        switch self {
        case .system(let call, let path, let code):
            "\(call) failed for \(path): \(message(code)) (errno \(code))"
        case .notASpace(let path, let detail): "\(path) is not an object space: \(detail)"
        case .notAnObject(let id, let found):
            "\(id) is not an object: its magic number is 0x\(String(found, radix: 16))"
        case .otherFormat(let id, let found, let supported):
            "object \(id) has format \(found); this library reads format \(supported). Use a newer library."
        case .damaged(let id, let detail): "object \(id) is damaged: \(detail)"
        case .damagedSpace(let detail): "the object space is damaged: \(detail)"
        case .wrongIdentity(let id, let computed):
            "object \(id) is not what its ID says: its parts hash to \(computed)"
        case .noObject(let id): "there is no object \(id) in this space"
        case .noName(let name): "nothing is named \"\(name)\""
        case .nameExists(let name): "\"\(name)\" is taken; remove it first"
        case .notANamespace(let name): "\"\(name)\" is not a namespace"
        case .wrongType(let id, let stored, let asked):
            "object \(id) holds {\(stored)}, the program asked for {\(asked)}"
        case .deleted(let id): "object \(id) was deleted"
        case .immutable(let id): "object \(id) is immutable; fork it to change a copy"
        case .nullPointer(let holder, let offset):
            "the pointer at 0x\(String(offset, radix: 16)) of object \(holder) is null"
        case .noEntry(let holder, let index):
            "object \(holder) has no entry \(index) in its table"
        case .outside(let id, let offset, let bytes):
            "\(bytes) bytes at 0x\(String(offset, radix: 16)) do not lie in the data of object \(id)"
        case .full(let id, let capacity):
            "object \(id) is full: its capacity is \(capacity) bytes. Put what follows into another object."
        case .tableFull(let id): "the table of object \(id) has no room for another object"
        case .tooManyObjects(let limit):
            "more than \(limit) objects were opened since the space was last closed by all; close it"
        case .badCapacity(let bytes):
            "an object of \(bytes) bytes cannot be: whole pages, from 16 KiB to 1 GiB"
        case .noResolver(let number, let name):
            "the table names \"\(name)\" for resolver \(number), which this program has not installed"
        case .notAnArchive(let detail): "this is not an archive of objects: \(detail)"
        case .refusedOption(let detail): detail
        case .closed: "the object space is closed"
        }
    }
}

func message(_ code: Int32) -> String { PersistentMemoryError.message(code) }
