import ABI
import Kernel

/// All authority in the system at one instant, and the rule by which one event may change it:
/// nothing appears that the caller did not make, hold or get from somebody who could give it.
///
/// - A capability that stays keeps its object, rights and badge.
/// - A new capability is to an object made in this call; or derives from one with `grant` and at
///   least its rights, held by the caller, or by the sender of the message that the caller
///   receives; or is to the memory of a connection that the caller holds.
/// - Capabilities appear in other groups only by `capabilityGrant` to a group that the caller
///   manages, or by a message.
/// - A new mapping is one that the caller made with capabilities for the space and, with all its
///   rights, for the PMO.
/// - A new thread acts for a group and in a space that the caller manages; so does a guest.
struct Authority: Equatable {
    struct Capability: Equatable {
        var group: ObjectID, slot: UInt32, object: ObjectID, rights: Rights, badge: UInt64
        var place: UInt32, parent: UInt32
    }
    struct Mapping: Equatable {
        var space: ObjectID, pmo: ObjectID, limit: Protection
    }
    struct Thread: Equatable {
        var id: ObjectID, group: ObjectID, space: ObjectID, restricted: ObjectID
    }
    struct Connection: Equatable {
        var id: ObjectID, memory: ObjectID
    }
    /// In the order of their places.
    var capabilities: [Capability] = []
    var mappings: [Mapping] = []
    var threads: [Thread] = []
    var connections: [Connection] = []

    mutating func read(_ kernel: borrowing Bench.FuzzKernel) {
        capabilities.removeAll(keepingCapacity: true)
        mappings.removeAll(keepingCapacity: true)
        threads.removeAll(keepingCapacity: true)
        connections.removeAll(keepingCapacity: true)
        kernel.authority { fact in
            switch fact {
            case .capability(
                let group, let slot, let object, let rights, let badge, let place, let parent):
                capabilities.append(
                    Capability(
                        group: group, slot: slot, object: object, rights: rights, badge: badge,
                        place: place,
                        parent: parent))
            case .mapping(let space, let pmo, let limit):
                mappings.append(Mapping(space: space, pmo: pmo, limit: limit))
            case .thread(let id, let group, let space, let restricted):
                threads.append(Thread(id: id, group: group, space: space, restricted: restricted))
            case .connection(let id, let memory):
                connections.append(Connection(id: id, memory: memory))
            }
        }
    }

    func holds(_ group: ObjectID, _ object: ObjectID, _ rights: Rights) -> Bool {
        capabilities.contains {
            $0.group == group && $0.object == object && $0.rights.isSuperset(of: rights)
        }
    }

    func knows(_ object: ObjectID) -> Bool {
        capabilities.contains { $0.object == object || $0.group == object }
            || mappings.contains { $0.pmo == object || $0.space == object }
            || threads.contains { $0.id == object || $0.group == object || $0.space == object }
            || connections.contains { $0.id == object || $0.memory == object }
    }

    func capability(at place: UInt32) -> Capability? {
        var (low, high) = (0, capabilities.count)
        while low < high {
            let middle = (low + high) / 2
            if capabilities[middle].place < place { low = middle + 1 } else { high = middle }
        }
        return low < capabilities.count && capabilities[low].place == place
            ? capabilities[low] : nil
    }
}

/// Who did what between two states of authority. No call: a fault, an interrupt, a tick.
struct Deed {
    var number: NativeCall?
    var thread = ObjectID.none
    var group = ObjectID.none
}

extension Authority {
    /// What of `after` this state and the deed do not explain.
    func firstGain(in after: Authority, by deed: Deed) -> String? {
        for new in after.capabilities {
            if let old = capability(at: new.place), old.object == new.object, old.group == new.group
            {
                if old.rights != new.rights || old.slot != new.slot || old.badge != new.badge {
                    return "a capability changed in its place: \(old) to \(new)"
                }
            } else if let problem = explain(new, by: deed) {
                return "\(problem): \(new)"
            }
        }
        if mappings != after.mappings {
            for new in after.mappings {
                if let problem = explain(new, by: deed) { return "\(problem): \(new)" }
            }
        }
        if threads != after.threads {
            for new in after.threads {
                if let problem = explain(new, by: deed) { return "\(problem): \(new)" }
            }
        }
        if connections != after.connections {
            for new in after.connections where !connections.contains(new) && !new.memory.isNone {
                let may =
                    deed.number == .connectionCreate
                    && holds(deed.group, new.memory, [.read, .write, .grant])
                if !may { return "a connection shares memory that its maker may not give: \(new)" }
            }
        }
        return nil
    }

    private func explain(_ new: Capability, by deed: Deed) -> String? {
        guard let number = deed.number else { return "a capability from nowhere" }
        if !knows(new.object) {
            return new.group == deed.group && new.parent == .max
                ? nil : "a new object's capability went elsewhere"
        }
        if new.parent == .max { return "a capability without a source" }
        guard let source = capability(at: new.parent), source.object == new.object else {
            return "a capability derived from one that was not there"
        }
        if !source.rights.contains(.grant) {
            return "a capability derived from one that may not be granted"
        }
        if !source.rights.isSuperset(of: new.rights) { return "rights grew" }
        if source.badge != 0 && source.badge != new.badge { return "a badge was changed" }
        if number == .connectionMemory && new.group == deed.group {
            let isShared =
                Rights([.read, .write]).isSuperset(of: new.rights)
                && connections.contains { connection in
                    connection.memory == new.object
                        && (holds(deed.group, connection.id, .call)
                            || holds(deed.group, connection.id, .read))
                }
            return isShared ? nil : "memory of a connection that the caller does not hold"
        }
        if source.group != deed.group && !(number == .connectionReceive && new.group == deed.group)
        {
            return "a capability derived from somebody else's"
        }
        switch number {
        case .connectionCall, .connectionReply, .connectionReceive: return nil
        case .capabilityGrant:
            return new.group == deed.group || holds(deed.group, new.group, .manage)
                ? nil : "a capability granted to a group that the caller does not manage"
        case .capabilityMint:
            return new.group == deed.group ? nil : "a capability minted into another group"
        default: return "a call that makes no capabilities made one"
        }
    }

    private func explain(_ new: Mapping, by deed: Deed) -> String? {
        let isOld = mappings.contains {
            $0.space == new.space && $0.pmo == new.pmo && $0.limit.isSuperset(of: new.limit)
        }
        if isOld { return nil }
        if deed.number != .map { return "a mapping from nowhere" }
        var rights: Rights = []
        if new.limit.contains(.read) { rights.insert(.read) }
        if new.limit.contains(.write) { rights.insert(.write) }
        if new.limit.contains(.execute) { rights.insert(.execute) }
        if !holds(deed.group, new.space, .manage) {
            return "mapped into a space that the caller does not manage"
        }
        return holds(deed.group, new.pmo, rights)
            ? nil : "mapped with more rights than the caller holds"
    }

    private func explain(_ new: Thread, by deed: Deed) -> String? {
        guard let old = threads.first(where: { $0.id == new.id }) else {
            let may =
                deed.number == .threadCreate && holds(deed.group, new.group, .manage)
                && holds(deed.group, new.space, .manage)
            return may ? nil : "a thread from nowhere"
        }
        if old.group != new.group || old.space != new.space { return "a thread changed sides" }
        if new.restricted.isNone || new.restricted == old.restricted { return nil }
        let may =
            deed.number == .enterRestricted && deed.thread == new.id
            && holds(deed.group, new.restricted, .manage)
        return may ? nil : "a guest runs in a space that its thread does not manage"
    }
}
