import PersistentMemory

/// A key of a hash map in an object: its hash is the same in every process.
public protocol ObjectKey: Persistable {
    /// What is looked up: `String` for a string, the value itself for a number.
    associatedtype Lookup
    static func hash(_ key: Lookup) -> UInt64
    /// Whether the stored key, which lies in the object of `holder`, is `key`.
    func isEqual<Reader: ObjectReading & ~Copyable>(
        to key: Lookup, in reader: borrowing Reader, _ holder: Ref<Self>) throws -> Bool
    /// The stored form of a key, in the object of a holder.
    static func stored(
        _ key: Lookup, in transaction: borrowing ObjectTransaction, _ holder: Ref<some Any>
    ) throws -> Self
    /// Gives what `stored` took back.
    func discard(in transaction: borrowing ObjectTransaction, _ holder: Ref<some Any>) throws
    func lookup<Reader: ObjectReading & ~Copyable>(
        in reader: borrowing Reader, _ holder: Ref<Self>) throws -> Lookup
}

enum ObjectHash {
    static func mix(_ value: UInt64) -> UInt64 {
        let product = value.multipliedFullWidth(by: 0x9E37_79B9_7F4A_7C15)
        return product.high ^ product.low
    }
}

extension ObjectKey where Self: FixedWidthInteger, Lookup == Self {
    public static func hash(_ key: Self) -> UInt64 {
        ObjectHash.mix(UInt64(truncatingIfNeeded: key) ^ 0x5851_F42D_4C95_7F2D)
    }
    public func isEqual<Reader: ObjectReading & ~Copyable>(
        to key: Self, in reader: borrowing Reader, _ holder: Ref<Self>
    ) -> Bool { self == key }
    public static func stored(
        _ key: Self, in transaction: borrowing ObjectTransaction, _ holder: Ref<some Any>
    ) -> Self { key }
    public func discard(in transaction: borrowing ObjectTransaction, _ holder: Ref<some Any>) {}
    public func lookup<Reader: ObjectReading & ~Copyable>(
        in reader: borrowing Reader, _ holder: Ref<Self>
    ) -> Self { self }
}

extension Int: ObjectKey { public typealias Lookup = Int }
extension UInt64: ObjectKey { public typealias Lookup = UInt64 }
extension UInt32: ObjectKey { public typealias Lookup = UInt32 }

extension PString: ObjectKey {
    public static func hash(_ key: String) -> UInt64 {
        var hash = Fingerprint()
        hash.add(key)
        return ObjectHash.mix(hash.value)
    }
    public func isEqual<Reader: ObjectReading & ~Copyable>(
        to key: String, in reader: borrowing Reader, _ holder: Ref<PString>
    ) throws -> Bool {
        guard count == key.utf8.count else { return false }
        return try reader.bytes(self, in: holder).elementsEqual(key.utf8)
    }
    public static func stored(
        _ key: String, in transaction: borrowing ObjectTransaction, _ holder: Ref<some Any>
    ) throws -> PString { try transaction.string(key, in: holder) }
    public func discard(in transaction: borrowing ObjectTransaction, _ holder: Ref<some Any>) throws {
        try transaction.free(self, in: holder)
    }
    public func lookup<Reader: ObjectReading & ~Copyable>(
        in reader: borrowing Reader, _ holder: Ref<PString>
    ) throws -> String { try reader.text(self, in: holder) }
}
