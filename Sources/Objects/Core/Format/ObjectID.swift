import Crypto

/// The name of an object: 128 bits that no other object has, on any machine.
///
/// It is a hash of what the object can never change: a nonce, its flags with the default
/// permissions, and the ID of the key object that may sign capabilities for it (TOS 17(2), 2021,
/// section 3). For an immutable object the contents are hashed too. So nobody can put another
/// object, another key or wider permissions under an ID: `verify` finds it.
public struct ObjectID: Hashable, Sendable, BitwiseCopyable, Comparable {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) { (self.high, self.low) = (high, low) }

    /// No object.
    public static let none = ObjectID(high: 0, low: 0)

    /// 128 random bits: the nonce of an object that is not named by its contents.
    public static func random() -> ObjectID {
        var generator = SystemRandomNumberGenerator()
        return ObjectID(high: generator.next(), low: generator.next() | 1)
    }

    /// The ID of an object with these fixed parts: SHA-256 of nonce, key, flags and a zero word, 48
    /// bytes, little endian, followed by `contents`; its halves are combined by exclusive or.
    public init(
        nonce: ObjectID, key: ObjectID, flags: UInt64, contents: [UnsafeRawBufferPointer] = []
    ) {
        var hash = SHA256()
        let fixed = [nonce.low, nonce.high, key.low, key.high, flags, 0].map(\.littleEndian)
        fixed.withUnsafeBytes { hash.update(bufferPointer: $0) }
        for part in contents { hash.update(bufferPointer: part) }
        self = hash.finalize().withUnsafeBytes { digest in
            func word(_ index: Int) -> UInt64 {
                UInt64(littleEndian: digest.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
            }
            return ObjectID(high: word(1) ^ word(3), low: word(0) ^ word(2))
        }
    }

    public static func < (a: Self, b: Self) -> Bool { (a.high, a.low) < (b.high, b.low) }
}

extension ObjectID: LosslessStringConvertible {
    /// 32 hexadecimal digits.
    public var description: String {
        [high, low].map { word in
            let digits = String(word, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }.joined()
    }

    public init?(_ text: String) {
        guard text.utf8.count == 32, text.utf8.allSatisfy({ UInt8(ascii: "+") != $0 }),
            let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }
}
