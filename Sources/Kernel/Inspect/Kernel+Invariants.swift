import ABI
import Machine
import Store

/// What must hold whenever the kernel is not in the middle of something. Walks everything: for
/// tests and the simulation, after `handle`.
extension Kernel {
    /// The first broken invariant, in words, or nil.
    public func checkInvariants() -> StaticString? {
        if let broken = checkReferences() { return broken }
        if let broken = checkSpaces() { return broken }
        return checkThreads()
    }

    /// Each live object's count is the number of capabilities and other objects that refer to it.
    private func checkReferences() -> StaticString? {
        var broken: StaticString?
        objects.pointee.forEachHeader { index, place in
            let header = place.pointee
            guard header.hasBody else { return }
            var counted = referencesFromObjects(to: index, header)
            var place = header.firstCapability
            var previous = CapabilityRef.none
            while !place.isNone {
                let entry = capability(place)
                if entry.object != ObjectID(index: index, generation: header.generation) {
                    broken = "a capability is in the list of another object"
                    return
                }
                if entry.previous != previous { broken = "a list of capabilities has a wrong link" }
                if !entry.parent.isNone, let problem = checkDerivation(entry) { broken = problem }
                counted += 1
                previous = place
                place = entry.next
            }
            if header.kind != .region && header.kind != .capabilityTable && !header.isDying
                && counted != header.references
            {
                broken = "an object's count of references is wrong"
            }
        }
        return broken
    }

    /// Rights only shrink from a capability to those derived from it.
    private func checkDerivation(_ entry: Capability) -> StaticString? {
        let parent = capability(entry.parent)
        if parent.isEmpty { return "a capability's parent is gone" }
        if parent.object != entry.object {
            return "a capability derives from one to another object"
        }
        if !parent.rights.isSuperset(of: entry.rights) { return "rights grew in a derivation" }
        if entry.depth > Capability.maximumDepth { return "a derivation is too deep" }
        return nil
    }

    /// Counts references that do not come from capabilities. Quadratic: small systems only.
    private func referencesFromObjects(to index: UInt32, _ header: ObjectHeader) -> UInt32 {
        var count: UInt32 = 0
        let id = ObjectID(index: index, generation: header.generation)
        objects.pointee.forEachHeader { _, other in
            switch other.pointee.body {
            case .thread(let thread):
                if thread.pointee.state == .dead { return }
                if thread.pointee.id == id { count += 1 }
                if thread.pointee.group.pointee.id == id { count += 1 }
                if thread.pointee.space.pointee.id == id { count += 1 }
                if thread.pointee.restrictedSpace?.pointee.id == id { count += 1 }
            case .region(let region):
                if region.pointee.pmo.pointee.id == id { count += 1 }
            default: break
            }
        }
        return count
    }

    private func checkSpaces() -> StaticString? {
        var broken: StaticString?
        objects.pointee.forEach(VMSpace.self) { space in
            var last = UserAddress(0)
            for index in 0..<space.pointee.count {
                let region = space.pointee.regions[index]
                if region.pointee.start < last { broken = "regions overlap or are out of order" }
                if region.pointee.end <= region.pointee.start { broken = "a region is empty" }
                if !region.pointee.limit.isSuperset(of: region.pointee.protection) {
                    broken = "a region allows more than its capability did"
                }
                last = region.pointee.end
            }
        }
        return broken
    }

    private func checkThreads() -> StaticString? {
        var broken: StaticString?
        objects.pointee.forEach(Thread.self) { thread in
            let header = header(thread.pointee.id).pointee
            let isWaiting = queue(of: thread) != nil
            switch thread.pointee.state {
            case .ready:
                if thread.pointee.core >= 0 {
                    if cores[thread.pointee.core].current != thread {
                        broken = "a thread is not where it says"
                    }
                } else if !thread.pointee.isQueued {
                    broken = "a ready thread is in no queue"
                }
            case .waitingNotification, .waitingReceiver, .waitingCaller:
                if !isWaiting || !thread.pointee.isQueued {
                    broken = "a waiting thread is in no queue"
                }
            case .waitingReply:
                if thread.pointee.peer?.pointee.caller != thread {
                    broken = "a caller's server does not know it"
                }
            case .dead:
                if thread.pointee.isQueued || thread.pointee.core >= 0 {
                    broken = "a dead thread is about"
                }
            }
            if header.references == 0 && !header.isDying {
                broken = "a thread without references lives"
            }
        }
        return broken
    }
}
