import CPersistentMemory
import PersistentMemory

// What the setters of persistent classes call before they store. Volatile objects cost one look at
// a table that is empty unless a heap with native objects is open. They return false when the store
// must not be made: the log is full, and the transaction will throw that when it ends.

/// A setter's notice that it will overwrite a plain field. Called by the macro's code.
@inlinable @inline(__always)
public func persistentWillStore<C: PersistentClass, T: Persistable>(
    _ object: C, _ offset: Int, _ value: T
) -> Bool {
    let address = Unmanaged.passUnretained(object).toOpaque()
    guard let heap = pm_native_owner(address) else { return true }
    return logNativeStore(heap, address + offset, MemoryLayout<T>.size)
}

/// The same for a reference. An object of a heap may only refer to objects of the same heap.
@inlinable @inline(__always)
public func persistentWillStore<C: PersistentClass, D: PersistentClass>(
    _ object: C, _ offset: Int, _ value: D?
) -> Bool {
    let address = Unmanaged.passUnretained(object).toOpaque()
    guard let heap = pm_native_owner(address) else { return true }
    checkTarget(heap, value.map { Unmanaged.passUnretained($0).toOpaque() })
    return logNativeStore(heap, address + offset, 8)
}

@inlinable @inline(__always)
public func persistentWillStore<C: PersistentClass, D: PersistentClass>(
    _ object: C, _ offset: Int, _ value: D
) -> Bool {
    let address = Unmanaged.passUnretained(object).toOpaque()
    guard let heap = pm_native_owner(address) else { return true }
    checkTarget(heap, Unmanaged.passUnretained(value).toOpaque())
    return logNativeStore(heap, address + offset, 8)
}

/// Takes what the others refuse: the layout's message is enough.
@_disfavoredOverload
public func persistentWillStore<C, T>(_ object: C, _ offset: Int, _ value: T) -> Bool { false }

@usableFromInline @inline(never)
func checkTarget(_ heap: UnsafeMutableRawPointer, _ target: UnsafeMutableRawPointer?) {
    precondition(
        target == nil || pm_native_owner(target) == heap,
        "a persistent object cannot refer to a volatile one; make that one with pnew")
}

@usableFromInline @inline(never)
func logNativeStore(
    _ owner: UnsafeMutableRawPointer, _ field: UnsafeMutableRawPointer, _ bytes: Int
) -> Bool {
    Unmanaged<PersistentHeap>.fromOpaque(owner)._withUnsafeGuaranteedRef { heap in
        let lane = heap.state.pointee.serialLane
        precondition(
            heap.state.pointee.owner == pm_thread_id() && lane.state.pointee.mode != .redo,
            "a persistent object was changed outside an undo transaction; use heap.transaction(.undo) or heap.unlogged"
        )
        guard lane.state.pointee.mode == .undo else { return true }
        let offset = UInt64(UInt(bitPattern: field) &- UInt(bitPattern: heap.base))
        if !lane.announce(offset, bytes), lane.state.pointee.failure == nil {
            lane.state.pointee.failure = PersistentMemoryError.tooManyPrivatePages
        }
        lane.seal()
        if lane.state.pointee.failure == nil { return true }
        lane.noteDroppedStore()
        return false
    }
}

extension UnloggedAccess {
    /// Makes a native object durable as it is now, and orders what follows behind it.
    public func persist<C: PersistentClass>(_ object: C) {
        heap._withUnsafeGuaranteedRef {
            guard let offset = $0.offset(of: object) else { return }
            lane.flushSpans()
            $0.region.flush(offset, C.persistentClassLayout.layout.size)
            $0.region.fence()
        }
    }
}
