import CPersistentMemory
import PersistentMemory

extension PersistentHeap {
    /// Checks toolchain and classes, then makes the heap's native objects fit this process. Part of
    /// opening.
    func openNativeTier() throws {
        let holdsObjects = registry.withLock { $0.records.values.contains { $0.isNative } }
        guard holdsObjects || !options.nativeTypes.isEmpty else { return }
        finishInterruptedMove()
        if options.inspectsOnly { return }
        guard options.isolation == .serial else {
            throw HeapError.nativeTierRefused(
                reason: "native objects need serial isolation, not locking")
        }
        if let reason = options.nativeSelfTest() {
            throw HeapError.nativeTierRefused(reason: reason)
        }
        var metadata: [Int: UInt64] = [:]
        for type in reachableClasses() {
            metadata[try registerNative(type)] = UInt64(
                UInt(bitPattern: NativeObject.metadata(type)))
        }
        let missing = registry.withLock {
            $0.records.values.first { $0.isNative && metadata[$0.number] == nil }
        }
        if let missing {
            throw HeapError.nativeTierRefused(
                reason:
                    "the heap holds objects of class \(missing.name); add the class to HeapOptions.nativeTypes"
            )
        }
        moveNativeObjects(metadata: metadata)
        guard
            pm_native_add(base, region.reservedBytes, Unmanaged.passUnretained(self).toOpaque())
                != 0
        else {
            throw HeapError.nativeTierRefused(
                reason: "\(PM_NATIVE_HEAPS) heaps with native objects are open already")
        }
    }

    /// The classes that were named, and those their fields refer to.
    private func reachableClasses() -> [any PersistentClass.Type] {
        var found: [any PersistentClass.Type] = []
        var seen: Set<ObjectIdentifier> = []
        var work = options.nativeTypes
        while let type = work.popLast() {
            guard seen.insert(ObjectIdentifier(type)).inserted else { continue }
            found.append(type)
            work += type.persistentClassLayout.targets
        }
        return found
    }

    private func registerNative(_ type: any PersistentClass.Type) throws -> Int {
        if let problem = NativeObject.problem(with: type) {
            throw HeapError.nativeTierRefused(reason: problem)
        }
        let layout = type.persistentClassLayout.layout
        let number = try registry.withLock { registry in
            if let known = registry.numbers[layout.name], let record = registry.records[known] {
                guard record.fingerprint == layout.fingerprint, record.isNative else {
                    throw HeapError.changedLayout(
                        type: layout.name, stored: record.text, current: TypeRecord.describe(layout)
                    )
                }
                return known
            }
            return try add(
                TypeRecord(number: registry.next, layout: layout, isArray: false, isNative: true),
                to: &registry)
        }
        guard layout.processNumber < HeapFormat.maximumTypes else {
            throw HeapError.tooManyTypes(limit: HeapFormat.maximumTypes)
        }
        state.pointee.numbers[layout.processNumber] = UInt16(number)
        holdsNativeObjects.store(true, ordering: .releasing)
        return number
    }

    func nativeNumber<C: PersistentClass>(_ type: C.Type) throws -> Int {
        try nativeNumber(C.persistentClassLayout.layout)
    }

    func nativeNumber(_ layout: TypeLayout) throws -> Int {
        let process = layout.processNumber
        let number = process < HeapFormat.maximumTypes ? Int(state.pointee.numbers[process]) : 0
        guard number != 0 else {
            throw HeapError.nativeTierRefused(
                reason: "class \(layout.name) is not in HeapOptions.nativeTypes")
        }
        return number
    }

    /// The offset of a native object of this heap; nil for any other object.
    func offset<C: PersistentClass>(of object: C) -> UInt64? {
        let offset = offset(
            ofAddress: UInt64(UInt(bitPattern: Unmanaged.passUnretained(object).toOpaque())))
        return offset == 0 ? nil : offset
    }

    // MARK: Objects

    /// Whether an object lies in this heap and not in volatile memory.
    public func contains<C: PersistentClass>(_ object: C) -> Bool { offset(of: object) != nil }

    /// Makes an object in the heap: in the running undo transaction of this thread, or in one of
    /// its own.
    ///
    /// As with `new` and `pnew` in go-pmem, the same initialiser makes volatile and persistent
    /// objects. The object lives as long as it can be reached from a named root; reference counts
    /// play no part.
    public func pnew<C: PersistentClass>(_ make: @autoclosure () throws -> C) throws -> C {
        try transaction(.undo) { tx in try tx.pnew(make()) }
    }

    /// The native root of that name; nil if there is none. The object must not be used after the
    /// heap is closed.
    public func root<C: PersistentClass>(named name: String, as type: C.Type = C.self) throws -> C?
    {
        guard let (_, record) = try findRoot(name, in: self) else { return nil }
        guard record.type == UInt64(try nativeNumber(C.self)) else {
            throw HeapError.wrongType(
                name: name, stored: typeName(Int(record.type)), asked: C.persistentName)
        }
        try check(record, name)
        return Unmanaged<C>.fromOpaque(base + Int(record.object)).takeUnretainedValue()
    }

    /// The native root of that name, made by `make` if there is none.
    public func root<C: PersistentClass>(
        named name: String, as type: C.Type = C.self, make: () -> C
    ) throws -> C {
        if let found = try root(named: name, as: type) { return found }
        return try transaction(.undo) { tx in
            let object = try tx.pnew(make())
            try tx.setRoot(named: name, to: object)
            return object
        }
    }

    /// Keeps an object although no root reaches it, until `unpin` or the heap is closed.
    public func pin<C: PersistentClass>(_ object: C) {
        guard let offset = offset(of: object) else { return }
        pins.withLock { $0[offset, default: 0] += 1 }
    }

    public func unpin<C: PersistentClass>(_ object: C) {
        guard let offset = offset(of: object) else { return }
        pins.withLock { pins in
            let count = pins[offset, default: 0] - 1
            pins[offset] = count > 0 ? count : nil
        }
    }
}

extension Transaction {
    /// Makes an ordinary object, then moves its bytes into the heap. What it refers to must be in
    /// the heap already.
    @inlinable
    public func pnew<C: PersistentClass>(_ make: @autoclosure () throws -> C) throws -> C {
        let layout = C.persistentClassLayout.layout
        let number = try numberForNew(layout)
        let object = try make()
        let cell = try copyIntoHeap(Unmanaged.passUnretained(object).toOpaque(), layout, number)
        // The volatile twin dies here; what it refers to is immortal, so nothing is counted down.
        return withExtendedLifetime(object) { Unmanaged<C>.fromOpaque(cell).takeUnretainedValue() }
    }

    @usableFromInline
    func numberForNew(_ layout: TypeLayout) throws -> Int {
        guard lane.state.pointee.mode == .undo else {
            throw HeapError.nativeTierRefused(
                reason: "native objects need an undo transaction: heap.transaction(.undo)")
        }
        return try heap._withUnsafeGuaranteedRef { try $0.nativeNumber(layout) }
    }

    /// Copies an object into a new cell, with counts that are never written.
    @usableFromInline
    func copyIntoHeap(
        _ source: UnsafeMutableRawPointer, _ layout: TypeLayout, _ number: Int
    ) throws -> UnsafeMutableRawPointer {
        try heap._withUnsafeGuaranteedRef { heap in
            for slot in layout.references {
                let target = source.load(fromByteOffset: slot, as: UInt64.self)
                guard target == 0 || heap.offset(ofAddress: target) != 0 else {
                    throw HeapError.nativeTierRefused(
                        reason: "a field of the new \(layout.name) refers to a volatile object; "
                            + "make that one with pnew")
                }
            }
            let offset = try heap.allocate(type: number, size: layout.size, in: lane)
            let cell = heap.base + Int(offset)
            cell.copyMemory(from: source, byteCount: layout.size)
            cell.storeBytes(of: NativeObject.immortal, toByteOffset: 8, as: UInt64.self)
            return cell
        }
    }

    /// Makes a native object a root, or an existing root name another object of the same class.
    public func setRoot<C: PersistentClass>(named name: String, to object: C) throws {
        let heap = self.heap.takeUnretainedValue()
        let number = try heap.nativeNumber(C.self)
        guard let offset = heap.offset(of: object) else {
            throw HeapError.nativeTierRefused(
                reason: "a volatile object cannot be a root; make it with pnew")
        }
        try setRoot(named: name, toObjectAt: offset, type: number, typeName: C.persistentName)
    }

    /// Logs whole objects together, so that one fence covers them all. Later stores to them cost no
    /// fence.
    public func announce<each C: PersistentClass>(_ objects: repeat each C) {
        let heap = self.heap.takeUnretainedValue()
        for (object, layout) in repeat (each objects, (each C).persistentClassLayout.layout) {
            guard let offset = heap.offset(of: object) else { continue }
            lane.announce(
                offset + UInt64(NativeObject.headerBytes), layout.size - NativeObject.headerBytes)
        }
        lane.seal()
    }
}
