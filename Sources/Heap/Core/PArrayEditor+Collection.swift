import PersistentMemory

/// The editor as a collection: `for`, `map`, `first`, `contains`, `sorted` and the rest of Swift's
/// read what the transaction sees.
extension PArrayEditor: RandomAccessCollection {
    @inlinable public var startIndex: Int { 0 }
    @inlinable public var endIndex: Int { count }
}

extension PArrayEditor {
    /// Appends all elements, with one growth at most where their count is known.
    @inlinable
    public func append(contentsOf elements: some Sequence<Element>) throws {
        let expected = count + elements.underestimatedCount
        if expected > capacity {
            try reserve(count < Stored.perPiece ? Swift.max(expected, count * 2) : expected)
        }
        for element in elements { try append(element) }
    }

    @inlinable
    public static func += (editor: Self, elements: some Sequence<Element>) throws {
        try editor.append(contentsOf: elements)
    }

    /// Removes the elements for which `condition` holds; the others keep their order.
    @inlinable
    public func removeAll(where condition: (Element) throws -> Bool) rethrows {
        let kept = try filter { try !condition($0) }
        guard kept.count < count else { return }
        for (index, element) in kept.enumerated() { self[index] = element }
        place.set(8, kept.count)
    }

    /// Sorts in place; elements that are equal keep their order.
    @inlinable
    public func sort(by isBefore: (Element, Element) throws -> Bool) rethrows {
        let elements = try sorted(by: isBefore)
        announce()
        for (index, element) in elements.enumerated() { self[index] = element }
    }

    @inlinable public func sort() where Element: Comparable { sort(by: <) }
}

extension PArrayEditor: CustomStringConvertible {
    public var description: String { value.viewed(by: place.reader).description }
}

/// Arrays of strings take Swift's own.
extension PArrayEditor where Element == PString {
    public func append(_ text: String) throws { try append(place.makeString(text)) }

    public func append(contentsOf texts: some Sequence<String>) throws {
        for text in texts { try append(text) }
    }

    public static func += (editor: Self, texts: some Sequence<String>) throws {
        try editor.append(contentsOf: texts)
    }

    public func contains(_ text: String) -> Bool {
        contains { $0.isEqual(to: text, in: LaneReader(lane: place.location.lane)) }
    }
}

extension FieldAccess {
    /// What views of this place's transaction load from.
    @usableFromInline var reader: HeapReader {
        HeapReader(
            base: location.lane.state.pointee.access.base, owner: heap, lane: location.lane,
            bounds: location.lane)
    }

    /// A string in the heap, made by this place's transaction.
    @usableFromInline func makeString(_ text: String) throws -> PString {
        try Transaction(heap, location.lane).string(text)
    }

    /// Does what a setter, which cannot throw, asks for. If that fails the transaction does nothing
    /// more, and throws the error at its end.
    @usableFromInline func attempt(_ body: () throws -> some Any) {
        let lane = location.lane
        guard lane.state.pointee.failure == nil else { return }
        do { _ = try body() } catch { lane.state.pointee.failure = error }
    }
}
