#if hasFeature(Embedded)
    import CRuntime

    /// The heap behind Swift's own allocations in a program without a C library.
    public enum ProgramHeap {
        /// Set once, before the first allocation.
        nonisolated(unsafe) private static var heap: UnsafeMutablePointer<Heap>?

        /// Takes over a range of memory. Returns false if it is too small to hold a heap.
        public static func start(at start: UInt, byteCount: UInt) -> Bool {
            heap = Heap.create(at: start, byteCount: byteCount)
            return heap != nil
        }

        /// Bytes in use by blocks.
        public static var usedBytes: UInt { heap?.pointee.usedBytes ?? 0 }

        fileprivate static func allocate(size: UInt, alignment: UInt) -> UnsafeMutableRawPointer? {
            guard let heap else { evertree_abort("allocation before the heap was started") }
            return heap.pointee.allocate(size: size, alignment: alignment)
        }

        fileprivate static func free(_ block: UnsafeMutableRawPointer) {
            guard let heap, heap.pointee.free(block) else {
                evertree_abort("freed what is no block of the heap")
            }
        }
    }

    /// posix_memalign(3) without an error: running out of memory ends the program, for Swift cannot
    /// go on without its object.
    @c(evertree_heap_allocate)
    public func runtimeAllocate(_ alignment: UInt, _ size: UInt) -> UnsafeMutableRawPointer {
        guard let block = ProgramHeap.allocate(size: size, alignment: alignment) else {
            evertree_abort("out of heap")
        }
        return block
    }

    /// free(3).
    @c(evertree_heap_free)
    public func runtimeFree(_ block: UnsafeMutableRawPointer?) {
        if let block { ProgramHeap.free(block) }
    }
#endif
