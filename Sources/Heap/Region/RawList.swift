/// A growing list in malloc memory: no copy-on-write checks, no exclusivity checks, emptied without
/// being freed. For the transaction paths; the owner calls `deallocate`.
public struct RawList<Element: BitwiseCopyable> {
    public var base: UnsafeMutablePointer<Element>
    public var count = 0
    @usableFromInline var capacity: Int

    public init(capacity: Int) {
        base = .allocate(capacity: capacity)
        self.capacity = capacity
    }

    public func deallocate() { base.deallocate() }

    @inlinable public subscript(index: Int) -> Element {
        get { base[index] }
        nonmutating set { base[index] = newValue }
    }

    @inlinable public mutating func append(_ element: Element) {
        if count == capacity { grow() }
        base[count] = element
        count &+= 1
    }

    @usableFromInline @inline(never)
    mutating func grow() {
        let larger = UnsafeMutablePointer<Element>.allocate(capacity: capacity * 2)
        larger.update(from: base, count: count)
        base.deallocate()
        base = larger
        capacity *= 2
    }
}
