import ABI

/// mprotect(2), madvise(2), mremap(2), brk(2) and what fork(2) copies.
extension AddressSpace {
    /// Changes the protection of a range that must be covered.
    func protect(_ start: UInt64, _ end: UInt64, _ protection: Protection) throws(Errno) {
        guard isCovered(start, end) else { throw .ENOMEM }
        var next = start
        while next < end {
            guard let old = area(at: next) else { throw .ENOMEM }
            var piece = old.part(next, min(old.end, end))
            next = piece.end
            if piece.protection == protection { continue }
            if piece.isReadOnlyForGood, protection.contains(.write) { throw .EACCES }
            piece.protection = protection
            try applyProtection(&piece)
        }
    }

    private func applyProtection(_ piece: inout MemoryArea) throws(Errno) {
        if piece.memory == nil, piece.file == nil, !piece.protection.isEmpty {
            if try extendNeighbour(with: piece) { return }
            piece.memory = try MemoryObject(pageCount: piece.length / pageSize)
            piece.offset = 0
        } else if piece.isFileView, piece.protection.contains(.write), let view = piece.memory {
            piece.memory = try view.copy(offset: piece.offset, length: piece.length, from: 0)
            piece.offset = 0
            piece.isFileView = false
        } else if piece.memory != nil {
            try Native.check(
                Native.call(
                    .protect, UInt64(slot.value), piece.start, piece.length,
                    UInt64(piece.protection.rawValue)))
            replaceInList(piece)
            return
        }
        try insert(piece)
    }

    /// Swaps a part of an area for one with other attributes, without native calls.
    private func replaceInList(_ piece: MemoryArea) {
        let index = firstIndex(endingAfter: piece.start)
        guard index < areas.count else { return }
        let old = areas.remove(at: index)
        var at = index
        if old.start < piece.start {
            areas.insert(old.part(old.start, piece.start), at: at)
            at += 1
        }
        areas.insert(piece, at: at)
        if old.end > piece.end { areas.insert(old.part(piece.end, old.end), at: at + 1) }
    }

    /// A reservation that grows (a thread's malloc arena) goes on in the memory of the area before
    /// it.
    private func extendNeighbour(with piece: MemoryArea) throws(Errno) -> Bool {
        let index = firstIndex(endingAfter: piece.start)
        guard index > 0 else { return false }
        let before = areas[index - 1]
        guard before.end == piece.start, before.protection == piece.protection, !before.isShared,
            before.file == nil,
            before.kind == .ordinary, let memory = before.memory,
            memory.pageCount * pageSize == before.offset + before.length
        else { return false }
        try memory.resize(pageCount: memory.pageCount + piece.length / pageSize)
        var grown = piece
        grown.memory = memory
        grown.offset = before.offset + before.length
        try insert(grown)
        join(endingAt: piece.start)
        return true
    }

    /// Joins the areas on both sides of an address when they show neighbouring bytes of one private
    /// PMO.
    private func join(endingAt address: UInt64) {
        let index = firstIndex(endingAfter: address)
        guard index > 0, index < areas.count else { return }
        let left = areas[index - 1]
        let right = areas[index]
        guard left.end == right.start, left.memory === right.memory,
            left.protection == right.protection, left.skipsFork == right.skipsFork,
            left.wipesOnFork == right.wipesOnFork,
            left.offset + left.length == right.offset
        else { return }
        areas[index - 1].end = right.end
        areas.remove(at: index)
    }

    /// madvise(MADV_DONTNEED): private memory reads as zeros again.
    func discard(_ start: UInt64, _ end: UInt64) throws(Errno) {
        var next = start
        while next < end {
            guard let old = area(at: next) else { throw .ENOMEM }
            let piece = old.part(next, min(old.end, end))
            next = piece.end
            guard let memory = piece.memory, !piece.isShared, piece.file == nil else { continue }
            try memory.decommit(
                firstPage: piece.offset / pageSize, pageCount: piece.length / pageSize)
        }
    }

    /// madvise(2): MADV_DONTFORK 10, MADV_DOFORK 11, MADV_WIPEONFORK 18 (private memory without a
    /// file only), MADV_KEEPONFORK 19.
    func adviseFork(_ start: UInt64, _ end: UInt64, _ advice: UInt32) throws(Errno) {
        guard isCovered(start, end) else { throw .ENOMEM }
        var next = start
        while next < end {
            guard let old = area(at: next) else { throw .ENOMEM }
            var piece = old.part(next, min(old.end, end))
            next = piece.end
            if advice >= 18, piece.isShared || piece.file != nil { throw .EINVAL }
            switch advice {
            case 10: piece.skipsFork = true
            case 11: piece.skipsFork = false
            default: piece.wipesOnFork = advice == 18
            }
            if piece.skipsFork != old.skipsFork || piece.wipesOnFork != old.wipesOnFork {
                replaceInList(piece)
            }
        }
    }

    /// mremap(2) that may move: the bytes go to a PMO of the new size.
    func move(_ old: MemoryArea, to target: UInt64, length: UInt64) throws(Errno) {
        var moved = old
        moved.start = target
        moved.end = target &+ length
        if let memory = old.memory, !old.isShared, !old.isFileView {
            let fresh = try MemoryObject(pageCount: length / pageSize)
            let kept = min(length, old.length)
            if Native.copy(to: fresh.reference(0), from: memory.reference(old.offset), length: kept)
                < kept
            {
                throw .ENOMEM
            }
            moved.memory = fresh
            moved.offset = 0
        } else if length > old.length {
            throw .EINVAL
        }
        try remove(old.start, old.end)
        try insert(moved)
    }

    /// brk(2): the new end of the heap, or the old one when that cannot be.
    func setBreak(_ wish: UInt64) -> UInt64 {
        guard wish >= breakStart, wish < AddressSpace.mapTop, breakStart != 0 else {
            return breakEnd
        }
        guard let newEnd = pageCeiling(wish), let oldEnd = pageCeiling(breakEnd) else {
            return breakEnd
        }
        do throws(Errno) {
            if newEnd > oldEnd { try growHeap(from: oldEnd, to: newEnd) }
            if newEnd < oldEnd { try remove(newEnd, oldEnd) }
            breakEnd = wish
        } catch {}
        return breakEnd
    }

    private func growHeap(from oldEnd: UInt64, to newEnd: UInt64) throws(Errno) {
        guard isFree(oldEnd, newEnd) else { throw .ENOMEM }
        var grown = MemoryArea(
            start: oldEnd, end: newEnd, protection: [.read, .write], kind: .heap)
        if let heap = area(at: oldEnd &- pageSize), heap.kind == .heap,
            heap.protection == grown.protection,
            let memory = heap.memory
        {
            // After a shrink the PMO may reach further than the area: cut it, so that what comes
            // back is zero.
            let used = (heap.offset + heap.length) / pageSize
            if memory.pageCount > used {
                try memory.decommit(firstPage: used, pageCount: memory.pageCount - used)
            }
            try memory.resize(pageCount: max(memory.pageCount, used + grown.length / pageSize))
            grown.memory = memory
            grown.offset = used * pageSize
        } else {
            grown.memory = try MemoryObject(pageCount: grown.length / pageSize)
        }
        try insert(grown)
        join(endingAt: oldEnd)
    }

    /// A copy for fork(2). Below the stack pointer (and its red zone) nothing of the stack is
    /// copied.
    func fork(stackPointer: UInt64) throws(Errno) -> AddressSpace {
        let child = try AddressSpace()
        child.breakStart = breakStart
        child.breakEnd = breakEnd
        for area in areas where !area.skipsFork {
            var copy = area
            if area.wipesOnFork, area.memory != nil {
                copy.memory = try MemoryObject(pageCount: area.length / pageSize)
                copy.offset = 0
            } else if let memory = area.memory, !area.isShared, !area.isFileView {
                var start: UInt64 = 0
                if area.kind == .stack, stackPointer > area.start, stackPointer <= area.end {
                    start = pageFloor(stackPointer &- 256) &- area.start
                    if start > area.length { start = 0 }
                }
                copy.memory = try memory.copy(offset: area.offset, length: area.length, from: start)
                copy.offset = 0
            }
            try child.insert(copy)
        }
        return child
    }
}
