import PersistentMemory

/// The editor as a collection of pairs, in no particular order, as the transaction sees them.
/// Changes of values keep indices good; new and removed keys do not.
extension PDictionaryEditor: Collection {
    public typealias Element = (key: Key, value: Value)

    @inlinable public var isEmpty: Bool { count == 0 }
    @inlinable public var startIndex: PDictionaryIndex { next(from: 0) }
    @inlinable public var endIndex: PDictionaryIndex { PDictionaryIndex(slot: value.endSlot) }
    @inlinable public func index(after index: PDictionaryIndex) -> PDictionaryIndex {
        next(from: index.slot + 1)
    }
    @inlinable func next(from slot: Int) -> PDictionaryIndex {
        PDictionaryIndex(slot: value.filledSlot(from: slot, in: reader))
    }
    @inlinable public subscript(index: PDictionaryIndex) -> Element {
        value.pair(at: index, in: reader)
    }

    @inlinable public var keys: LazyMapCollection<Self, Key> { lazy.map(\.key) }
    @inlinable public var values: LazyMapCollection<Self, Value> { lazy.map(\.value) }
}

/// A setter cannot throw: where there is no room for a new key, the transaction fails when it ends.
extension PDictionaryEditor {
    /// The value of a key; setting nil removes the key.
    @inlinable public subscript(key: Key) -> Value? {
        get { value.value(forKey: key, in: reader) }
        nonmutating set {
            guard let newValue else {
                removeValue(forKey: key)
                return
            }
            place.attempt { try updateValue(newValue, forKey: key) }
        }
    }

    @inlinable
    public subscript(
        key: Key, default other: @autoclosure () -> Value
    ) -> Value {
        get { self[key] ?? other() }
        nonmutating set { self[key] = newValue }
    }

    /// Adds pairs; `combine` decides for keys that are there already, old value first.
    @inlinable
    public func merge(
        _ pairs: some Sequence<(Key, Value)>, uniquingKeysWith combine: (Value, Value) -> Value
    ) throws {
        for (key, value) in pairs {
            let old = self[key]
            try updateValue(old.map { combine($0, value) } ?? value, forKey: key)
        }
    }

    /// Removes the pairs for which `condition` holds.
    @inlinable
    public func removeAll(where condition: (Element) throws -> Bool) rethrows {
        let dictionary = value
        var slot = dictionary.filledSlot(from: 0, in: reader)
        while slot < dictionary.endSlot {
            let pair = dictionary.pair(at: PDictionaryIndex(slot: slot), in: reader)
            if try condition(pair) { _ = remove(dictionary.slotOffset(slot, in: reader)) }
            slot = dictionary.filledSlot(from: slot + 1, in: reader)
        }
    }
}

extension PDictionaryEditor: CustomStringConvertible {
    public var description: String { value.viewed(by: place.reader).description }
}

/// Keys as Swift strings. A cell for a key is made only when it is new and longer than 15 bytes.
extension PDictionaryEditor where Key == PString {
    @inlinable public subscript(text: String) -> Value? {
        get { value.value(forKey: text, in: reader) }
        nonmutating set {
            guard let newValue else {
                removeValue(forKey: text)
                return
            }
            place.attempt { try updateValue(newValue, forKey: text) }
        }
    }

    @inlinable
    public subscript(
        text: String, default other: @autoclosure () -> Value
    ) -> Value {
        get { self[text] ?? other() }
        nonmutating set { self[text] = newValue }
    }

    @inlinable @discardableResult
    public func updateValue(_ value: Value, forKey text: String) throws -> Value? {
        let tx = Transaction(place.heap, place.location.lane)
        return try withUTF8(of: text) { try updateValue(value, forBytes: $0, in: tx) }
    }

    @inlinable @discardableResult
    public func removeValue(forKey text: String) -> Value? {
        withUTF8(of: text) { removeValue(forBytes: $0)?.value }
    }

    @inlinable
    public func merge(
        _ pairs: some Sequence<(String, Value)>, uniquingKeysWith combine: (Value, Value) -> Value
    ) throws {
        for (key, value) in pairs {
            let old = self[key]
            try updateValue(old.map { combine($0, value) } ?? value, forKey: key)
        }
    }
}

/// Dictionaries from strings to strings read as Swift's own.
extension PDictionaryEditor where Key == PString, Value == PString {
    /// The value of a key as a Swift string; setting nil removes the key.
    public func string(forKey text: String) -> String? { self[text]?.string(in: reader) }

    @discardableResult
    public func updateValue(_ value: String, forKey text: String) throws -> String? {
        let new = try place.makeString(value)
        return try updateValue(new, forKey: text)?.string(in: reader)
    }
}
