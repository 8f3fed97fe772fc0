import PersistentObjects

@Persistent public struct CrashCell {
    var number: Int
    var next: ObjectPointer<CrashCell>?
}

@Persistent public struct CrashNode {
    var value: Int
    var text: PString
    var peer: ObjectPointer<CrashNode>?
    var cell: ObjectPointer<CrashCell>?
    var numbers: PMap<Int, Int>
}

/// What one object should hold.
struct NodeModel: Equatable {
    var value = 0
    var text = ""
    var peer: String?
    var cell: Int?
    var numbers: [Int: Int] = [:]
}

/// What the space should hold, by name.
typealias SpaceModel = [String: NodeModel]

public struct CrashFailure: Error, CustomStringConvertible {
    public let description: String
    init(_ text: String) { description = text }
}

/// One transaction of the campaign.
enum CrashOperation: CustomStringConvertible {
    case create(String)
    case delete(String)
    /// All objects at once.
    case add(Int)
    case link(String, String?)
    case text(String, String)
    case cell(String, Int?)
    case put(String, Int, Int)
    case remove(String, Int)
    /// Changes everything, then throws.
    case fail(Int)

    static func random(_ random: inout SplitMix64, _ model: SpaceModel, created: Int)
        -> CrashOperation
    {
        let names = model.keys.sorted()
        func pick() -> String { names[Int(random.next() % UInt64(names.count))] }
        if names.count < 2 { return .create("n\(created)") }
        let number = Int(random.next() % 1000)
        switch random.next() % 16 {
        case 0 where created < 7: return .create("n\(created)")
        case 1 where names.count > 2: return .delete(pick())
        case 2, 3: return .add(number)
        case 4, 5: return .link(pick(), number % 4 == 0 ? nil : pick())
        case 6, 7: return .text(pick(), String(repeating: "ab\(number % 7)", count: number % 20))
        case 8, 9: return .cell(pick(), number % 3 == 0 ? nil : number)
        case 10: return .remove(pick(), number % 12)
        case 11: return .fail(number)
        default: return .put(pick(), number % 12, number)
        }
    }

    func apply(to model: inout SpaceModel) {
        switch self {
        case .create(let name): model[name] = NodeModel(value: 1)
        case .delete(let name):
            model[name] = nil
            for other in model.keys where model[other]?.peer == name { model[other]?.peer = nil }
        case .add(let number): for name in model.keys { model[name]?.value += number }
        case .link(let name, let peer): model[name]?.peer = peer
        case .text(let name, let text): model[name]?.text = text
        case .cell(let name, let number): model[name]?.cell = number
        case .put(let name, let key, let value): model[name]?.numbers[key] = value
        case .remove(let name, let key): model[name]?.numbers[key] = nil
        case .fail: break
        }
    }

    var description: String {
        switch self {
        case .create(let name): "create \(name)"
        case .delete(let name): "delete \(name)"
        case .add(let number): "add \(number)"
        case .link(let name, let peer): "link \(name) \(peer ?? "nil")"
        case .text(let name, _): "text \(name)"
        case .cell(let name, let number): "cell \(name) \(number ?? -1)"
        case .put(let name, let key, _): "put \(name) \(key)"
        case .remove(let name, let key): "remove \(name) \(key)"
        case .fail: "fail"
        }
    }
}

struct Deliberate: Error {}

/// Runs operations on a space.
struct CrashWorkload {
    let space: ObjectSpace
    let mode: LogMode

    func run(_ operation: CrashOperation, _ model: SpaceModel) throws {
        do {
            try space.transaction(mode) { tx in try change(tx, operation, model) }
        } catch is Deliberate {}
    }

    private func open(_ name: String) throws -> PObject<CrashNode> {
        try space.open(named: name, as: CrashNode.self)
    }

    private func change(
        _ tx: borrowing ObjectTransaction, _ operation: CrashOperation, _ model: SpaceModel
    ) throws {
        switch operation {
        case .create(let name):
            var options = ObjectOptions()
            options.capacity = SimulatedStore.chunk
            let node = CrashNode(
                value: 1, text: PString(), peer: nil, cell: nil, numbers: PMap())
            try tx.name(try tx.create(node, options), name)
        case .delete(let name):
            for other in model.keys where model[other]?.peer == name && other != name {
                tx.edit(try open(other)).peer = nil
            }
            let object = try open(name)
            try tx.removeName(name)
            try tx.delete(object)
        case .add(let number):
            for name in model.keys.sorted() { tx.edit(try open(name)).value += number }
        case .link(let name, let peer):
            let object = try open(name)
            let pointer = try peer.map { try tx.pointer(to: try open($0).root, from: object.root) }
            tx.edit(object).peer = pointer
        case .text(let name, let text):
            let object = try open(name)
            let old = tx[object].text
            tx.edit(object).text = try tx.string(text, in: object.root)
            try tx.free(old, in: object.root)
        case .cell(let name, let number):
            let object = try open(name)
            let owner = object.root.field(\.cell)
            if tx[owner] != nil { try tx.free(owner) }
            if let number {
                try tx.make(CrashCell(number: number, next: nil), in: object.root, owner: owner)
            }
        case .put(let name, let key, let value):
            try tx.put(key, value, in: try open(name).root.field(\.numbers))
        case .remove(let name, let key):
            try tx.remove(key, from: try open(name).root.field(\.numbers))
        case .fail(let number):
            for name in model.keys.sorted() {
                let object = try open(name)
                tx.edit(object).value = number
                tx.edit(object).text = try tx.string(
                    String(repeating: "x", count: 40), in: object.root)
                try tx.put(number, number, in: object.root.field(\.numbers))
            }
            throw Deliberate()
        }
    }

    /// Reads everything back, and checks that each byte of data is in use or free.
    static func model(of space: ObjectSpace) throws -> SpaceModel {
        var model: SpaceModel = [:]
        var names: [ObjectID: String] = [:]
        for (name, entry) in try space.names() { names[entry.id] = name }
        for (id, name) in names {
            let object = try space.open(id, as: CrashNode.self)
            var node = NodeModel()
            var used = 0
            try space.read { reader in
                let root = object.root
                node.value = reader[object].value
                node.text = try reader.text(root.field(\.text))
                if node.text.utf8.count > 15 { used += cellBytes(node.text.utf8.count) }
                if let peer = try reader.followIfAny(root.field(\.peer)) {
                    node.peer = names[try space.identifier(of: peer)]
                }
                if let cell = try reader.followIfAny(root.field(\.cell)) {
                    node.cell = reader[cell].number
                    used += cellBytes(16)
                }
                try reader.forEach(root.field(\.numbers)) { key, value in
                    node.numbers[key] = reader[value]
                }
                used += reader.tableBytes(root.field(\.numbers))
            }
            let report = try space.check(id)
            let data = Int(report.dataEnd - ObjectLayout.base)
            let root = (Int(report.header.baseBytes) + 15) & ~15
            guard data == root + used + Int(report.freeBytes) else {
                throw CrashFailure(
                    "\(name): \(data) bytes of data, \(root) root, \(used) used, \(report.freeBytes) free")
            }
            model[name] = node
        }
        return model
    }
}
