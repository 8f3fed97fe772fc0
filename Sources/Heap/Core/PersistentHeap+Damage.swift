import PersistentMemory

// What a file says is not believed before it was compared with the heap's bounds. Every load from
// the heap is checked against its size (one comparison, which also notices references of other
// heaps), every count of a container against its capacity before something is allocated or walked
// by it. What fails stops the program with a message that names the file and the place; operations
// that can throw do, with the same words.

extension PersistentHeap {
    /// Stops the program: the heap holds something at an offset that it cannot hold.
    @usableFromInline func damaged(_ offset: UInt64, _ detail: String) -> Never {
        fatalError(damage(offset, detail).description)
    }

    /// The same as an error. Says which object lies there.
    @usableFromInline func damage(_ offset: UInt64, _ detail: String) -> HeapError {
        var object = ""
        if let found = nearestObject(offset) {
            object = " in object 0x\(String(found.offset, radix: 16)), a \(typeName(found.type))"
        }
        return .damaged(file: name, offset: offset, detail: detail + object)
    }

    private func nearestObject(_ offset: UInt64) -> (offset: UInt64, type: Int)? {
        guard offset < state.pointee.limit else { return nil }
        let page = offset >> HeapFormat.pageShift
        let arena = page >> (geometry.arenaShift - HeapFormat.pageShift)
        guard page >= geometry.firstPage(ofArena: arena) else { return nil }
        let span = state.pointee.allocator.span(page)
        guard span.isCells, state.pointee.allocator.isSound(page, span) else { return nil }
        let bytes = UInt64(SizeClass.bytes[span.sizeClass])
        let start = page << HeapFormat.pageShift
        return (start + (offset - start) / bytes * bytes, span.type)
    }

    /// Where to load from what does not fit the heap as it stands: a reference with the heap's tag.
    @usableFromInline @inline(never)
    func unusualPlace(_ word: UInt64, _ bytes: Int) -> UInt64 {
        let tag = word & ~LaneFormat.offsetMask
        let offset = word & LaneFormat.offsetMask
        if tag != 0, tag != referenceTag {
            fatalError(foreign(OpenHeaps.path(tag) == nil ? word ^ referenceTag : word).description)
        }
        // Another thread may have let the heap grow meanwhile.
        let limit = state.pointee.limit
        guard offset <= limit, UInt64(bytes) <= limit - offset else {
            damaged(offset, "a reference leads out of the heap, which has \(limit) bytes")
        }
        return offset
    }
}

extension LogLane {
    /// Whether bytes from an offset on lie in the heap.
    @inlinable @inline(__always)
    func holds(_ offset: UInt64, _ bytes: Int) -> Bool {
        let limit = state.pointee.heapBytes
        return offset <= limit && UInt64(truncatingIfNeeded: bytes) <= limit &- offset
    }

    /// The place to load from or store to; stops the program if it is not in the heap.
    @inlinable @inline(__always)
    func checked(_ offset: UInt64, _ bytes: Int) -> UInt64 {
        // A heap is larger than any value.
        offset <= state.pointee.heapBytes &- UInt64(truncatingIfNeeded: bytes)
            ? offset : unusual(offset, bytes)
    }

    @usableFromInline @inline(never)
    func unusual(_ offset: UInt64, _ bytes: Int) -> UInt64 {
        guard let owner = state.pointee.owner else { return offset }
        return Unmanaged<PersistentHeap>.fromOpaque(owner)._withUnsafeGuaranteedRef {
            $0.unusualPlace(offset, bytes)
        }
    }
}

extension PageAllocator {
    /// Whether a span word can be believed: of a known class and type number, a run within its arena.
    func isSound(_ page: UInt64, _ span: SpanWord) -> Bool {
        guard !span.isFree, !span.isRest else { return true }
        guard span.type > 0, span.type < HeapFormat.maximumTypes else { return false }
        if span.isCells { return span.sizeClass < SizeClass.count }
        let end = endPage(ofArena: page / geometry.pagesPerArena)
        return page < end && span.pages > 0 && span.pages <= end - page
    }
}
