import PersistentMemory

/// What the native tier relies on of Swift's objects on 64-bit Linux: type metadata, then reference
/// counts, then fields (swift/docs: ABI/TypeMetadata.rst, "Class Metadata"). Nothing of it is
/// promised, hence `selfTest` and `problem(with:)`.
enum NativeObject {
    /// Reference counts that are never written: the strong count is beyond "immortal" (measured on
    /// Swift 6.3).
    static let immortal: UInt64 = 0xC000_0000_FFFF_FFFF
    static let headerBytes = 16

    static func metadata(_ type: any PersistentClass.Type) -> UnsafeRawPointer {
        unsafeBitCast(type as AnyClass, to: UnsafeRawPointer.self)
    }

    /// Instance size as the class's metadata has it.
    static func instanceSize(_ metadata: UnsafeRawPointer) -> Int {
        Int(metadata.load(fromByteOffset: 24, as: UInt32.self))
    }

    // MARK: One class

    /// Why the layout that the macro wrote is not the class's; nil if it is.
    static func problem(with type: any PersistentClass.Type) -> String? {
        let expected = type.persistentClassLayout
        let name = expected.layout.name
        if let problem = expected.problem {
            return "class \(name): \(problem); only @Persistent structs may"
        }
        let metadata = metadata(type)
        guard metadata.load(fromByteOffset: 8, as: UInt.self) == 0 else {
            return "class \(name) has a superclass, whose fields could move under it"
        }
        guard instanceSize(metadata) == expected.layout.size else {
            return
                "instances of \(name) take \(instanceSize(metadata)) bytes, not \(expected.layout.size)"
        }
        guard expected.layout.size <= SizeClass.largest else {
            return
                "instances of \(name) take \(expected.layout.size) bytes; at most \(SizeClass.largest) are possible"
        }
        guard let fields = storedFields(metadata) else {
            return
                "class \(name) was built without reflection metadata, so its layout cannot be checked"
        }
        let offsets = expected.layout.fields.map(\.offset)
        guard fields.map(\.name) == expected.storedNames, fields.map(\.offset) == offsets else {
            return "the fields of \(name) lie elsewhere than its layout says: \(fields)"
        }
        return nil
    }

    /// Stored properties with their offsets, from the class's context descriptor and field
    /// descriptor.
    private static func storedFields(_ metadata: UnsafeRawPointer) -> [(name: String, offset: Int)]?
    {
        guard let descriptor = metadata.load(fromByteOffset: 40, as: UnsafeRawPointer?.self) else {
            return nil
        }
        let count = Int(descriptor.load(fromByteOffset: 36, as: UInt32.self))
        let vector = Int(descriptor.load(fromByteOffset: 40, as: UInt32.self))
        guard count > 0 else { return [] }
        guard let table = relative(descriptor + 16), count < 4096, vector < 1 << 16,
            table.load(fromByteOffset: 12, as: UInt32.self) == count,
            table.load(fromByteOffset: 10, as: UInt16.self) == 12
        else { return nil }
        var fields: [(name: String, offset: Int)] = []
        for index in 0..<count {
            guard let name = relative(table + 16 + index * 12 + 8) else { return nil }
            fields.append(
                (
                    String(cString: name.assumingMemoryBound(to: CChar.self)),
                    metadata.load(fromByteOffset: (vector + index) * 8, as: Int.self)
                ))
        }
        return fields
    }

    /// The target of a 32-bit relative pointer.
    private static func relative(_ at: UnsafeRawPointer) -> UnsafeRawPointer? {
        let distance = Int(at.load(as: Int32.self))
        return distance == 0 ? nil : at + distance
    }

    // MARK: The toolchain

    /// Checks, on a copy outside any heap, that an object works from copied bytes and that nothing
    /// writes its counts. Returns what does not hold.
    static func selfTest(immortal: UInt64 = immortal) -> String? {
        let probe = SelfTestObject()
        let address = Unmanaged.passUnretained(probe).toOpaque()
        let metadata = unsafeBitCast(SelfTestObject.self as AnyClass, to: UnsafeRawPointer.self)
        guard address.load(as: UnsafeRawPointer.self) == metadata else {
            return "an object does not begin with its metadata"
        }
        guard instanceSize(metadata) == 32 else {
            return "the size of an instance is not in its metadata"
        }
        guard address.load(fromByteOffset: 24, as: Int.self) == probe.second else {
            return "fields lie elsewhere"
        }
        let copy = UnsafeMutableRawPointer.allocate(byteCount: 32, alignment: 16)
        defer { copy.deallocate() }
        copy.copyMemory(from: address, byteCount: 32)
        copy.storeBytes(of: immortal, toByteOffset: 8, as: UInt64.self)
        let isUntouched = { copy.load(fromByteOffset: 8, as: UInt64.self) == immortal }
        let object = Unmanaged<SelfTestObject>.fromOpaque(copy)
        for _ in 0..<3 {
            _ = object.retain()
            guard isUntouched() else { return "retain writes the count of an immortal object" }
        }
        for _ in 0..<5 {
            object.release()
            guard isUntouched() else { return "release writes the count of an immortal object" }
        }
        let holder = SelfTestHolder(object.takeUnretainedValue())
        guard holder.object.sum() == probe.sum() else {
            return "a method of a copied object went wrong"
        }
        guard (holder.object as AnyObject) is SelfTestObject else {
            return "a cast of a copied object went wrong"
        }
        return isUntouched() ? nil : "a use wrote the count of an immortal object"
    }
}

private final class SelfTestObject {
    var first = 3
    var second = 0x5EED
    @inline(never) func sum() -> Int { first &+ second }
}

private final class SelfTestHolder {
    var object: SelfTestObject
    @inline(never) init(_ object: SelfTestObject) { self.object = object }
}

/// For tests: the self-test with other counts than those the heap uses.
package enum NativeTierProbe {
    package static func selfTest(counts: UInt64?) -> String? {
        NativeObject.selfTest(immortal: counts ?? NativeObject.immortal)
    }
}
