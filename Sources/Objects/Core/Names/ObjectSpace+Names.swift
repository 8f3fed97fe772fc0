import PersistentMemory

/// Names of objects: paths through namespaces, which are objects themselves.
extension ObjectSpace {
    static func parts(_ path: String) throws(ObjectError) -> [String] {
        let parts = path.split(separator: "/").map(String.init)
        guard !parts.isEmpty, parts.allSatisfy({ $0 != "." && $0 != ".." && $0.utf8.count <= 255 })
        else { throw .noName(path) }
        return parts
    }

    /// The ID of the root namespace; nil until something is named.
    func rootID<Reader: ObjectReading & ~Copyable>(_ reader: borrowing Reader) throws -> ObjectID? {
        let at = ControlLayout.root
        let words: [UInt64] = (0..<3).map { reader.load(at + UInt64($0) * 8) }
        guard words != [0, 0, 0] else { return nil }
        guard words[2] == CheckedWord.sum(words.prefix(2)) else {
            throw ObjectError.damagedSpace("the root of its names fails its checksum")
        }
        return ObjectID(high: words[1], low: words[0])
    }

    func find<Reader: ObjectReading & ~Copyable>(_ path: String, _ reader: borrowing Reader) throws
        -> NameEntry
    {
        guard let root = try rootID(reader) else { throw ObjectError.noName(path) }
        var entry = NameEntry(root, isNamespace: true)
        for part in try Self.parts(path) {
            guard entry.isNamespace else { throw ObjectError.notANamespace(path) }
            let namespace = try open(entry.id, as: Namespace.self)
            guard let found = try reader.find(part, in: namespace.root) else {
                throw ObjectError.noName(path)
            }
            entry = reader[found]
        }
        return entry
    }

    /// The object that a path means.
    func id(named path: String) throws -> ObjectID { try find(path, ObjectReader(self)).id }

    /// The object that a path means.
    public func lookUp(_ path: String) throws -> ObjectID { try read { try find(path, $0).id } }

    /// Opens the object that a path means.
    public func open<T: Persistable>(named path: String, as type: T.Type) throws -> PObject<T> {
        try open(try lookUp(path), as: type)
    }

    /// Names in a namespace, in order; of the root if the path is empty.
    public func names(in path: String = "") throws -> [(name: String, entry: NameEntry)] {
        try read { reader in
            let entry: NameEntry
            if path.isEmpty {
                guard let root = try rootID(reader) else { return [] }
                entry = NameEntry(root, isNamespace: true)
            } else {
                entry = try find(path, reader)
            }
            guard entry.isNamespace else { throw ObjectError.notANamespace(path) }
            var found: [(name: String, entry: NameEntry)] = []
            try reader.forEach(try open(entry.id, as: Namespace.self).root) { name, place in
                found.append((name, reader[place]))
            }
            return found.sorted { $0.name < $1.name }
        }
    }

    /// Answers for names in tables that were stored with this resolver's number, which is not 0.
    public func install(resolver number: UInt64, _ resolver: @escaping Resolver) {
        precondition(number != 0, "resolver 0 is the space's own names")
        resolvers[number] = resolver
    }
}

extension ObjectTransaction {
    /// Names an object by a path; namespaces on the way are made. Throws if the name is taken.
    public func name(_ object: PObject<some Any>, _ path: String) throws {
        let parts = try ObjectSpace.parts(path)
        var namespace = try rootNamespace()
        for part in parts.dropLast() {
            if let found = try find(part, in: namespace.root) {
                guard self[found].isNamespace else { throw ObjectError.notANamespace(path) }
                namespace = try space.open(self[found].id, as: Namespace.self)
            } else {
                var options = ObjectOptions()
                options.capacity = space.store.namespaceBytes
                let new = try create(Namespace(), options)
                try add(part, new.id, isNamespace: true, to: namespace)
                namespace = new
            }
        }
        guard let last = parts.last, try find(last, in: namespace.root) == nil else {
            throw ObjectError.nameExists(path)
        }
        try add(last, object.id, isNamespace: false, to: namespace)
    }

    private func add(
        _ name: String, _ id: ObjectID, isNamespace: Bool, to namespace: PObject<Namespace>
    ) throws {
        let index = try index(of: id, in: namespace.root.slot, [.read, .write])
        let entry = NameEntry(id, isNamespace: isNamespace, index: index)
        try put(name, entry, in: namespace.root)
    }

    /// Takes a name away. What nothing else leads to is taken back by `collect`.
    public func removeName(_ path: String) throws {
        let parts = try ObjectSpace.parts(path)
        let parent = parts.dropLast().joined(separator: "/")
        guard let last = parts.last, let root = try space.rootID(self) else {
            throw ObjectError.noName(path)
        }
        let entry =
            parent.isEmpty ? NameEntry(root, isNamespace: true) : try space.find(parent, self)
        guard entry.isNamespace else { throw ObjectError.notANamespace(parent) }
        let namespace = try space.open(entry.id, as: Namespace.self)
        guard try remove(last, from: namespace.root) else { throw ObjectError.noName(path) }
    }

    private func rootNamespace() throws -> PObject<Namespace> {
        if let id = try space.rootID(self) { return try space.open(id, as: Namespace.self) }
        var options = ObjectOptions()
        options.flags.insert(.kept)
        options.capacity = space.store.namespaceBytes
        let root = try create(Namespace(), options)
        let words = [root.id.low, root.id.high]
        for (index, word) in (words + [CheckedWord.sum(words)]).enumerated() {
            lane.store(word, at: ControlLayout.root + UInt64(index) * 8)
        }
        return root
    }
}
