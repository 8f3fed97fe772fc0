/// Bytes in a page and in an NVM frame.
public let pageSize: UInt64 = 4096

/// An address in a user address space: an *allegation* until the kernel has looked it up.
public struct UserAddress: Equatable, Comparable, Hashable, Sendable {
    public var value: UInt64
    @inlinable public init(_ value: UInt64) { self.value = value }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.value < b.value }

    /// First address that no user mapping may reach: the kernel begins here (Docs/boot.md).
    public static let limit = UserAddress(0x4000_0000_0000)
    /// Lowest mappable address, so that null pointers fault (Linux's default `vm.mmap_min_addr`).
    public static let lowest = UserAddress(0x1_0000)

    @inlinable public var pageNumber: UInt64 { value / pageSize }
    @inlinable public var offsetInPage: UInt64 { value % pageSize }
    @inlinable public var isPageAligned: Bool { offsetInPage == 0 }
    /// The start of the page that holds it.
    @inlinable public var pageStart: Self { Self(value & ~(pageSize - 1)) }

    /// Traps on overflow: for addresses that were checked.
    @inlinable public static func + (a: Self, byteCount: UInt64) -> Self {
        Self(a.value + byteCount)
    }
    /// Bytes from `b` up to `a`.
    @inlinable public static func - (a: Self, b: Self) -> UInt64 { a.value - b.value }
    /// Wraps around: for allegations, which are looked up afterwards.
    @inlinable public func wrapping(_ byteCount: UInt64) -> Self { Self(value &+ byteCount) }
}

/// An address of the machine's physical address space: memory, or registers of devices.
public struct PhysicalAddress: Equatable, Comparable, Hashable, Sendable {
    public var value: UInt64
    @inlinable public init(_ value: UInt64) { self.value = value }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    @inlinable public static func + (a: Self, byteCount: UInt64) -> Self {
        Self(a.value + byteCount)
    }
}

/// Index of a 4 KiB frame in the NVM region. Frame 0 holds the superblock, so 0 also means "no
/// frame".
public struct FrameNumber: Equatable, Hashable, Sendable {
    public var value: UInt32
    @inlinable public init(_ value: UInt32) { self.value = value }
    public static let none = FrameNumber(0)
    @inlinable public var isNone: Bool { value == 0 }
    /// Byte offset of the frame from the start of the region.
    @inlinable public var offset: UInt64 { UInt64(value) * pageSize }
}

/// Number of a checkpoint. Grows by one with each commit, and jumps over versions that a crash
/// aborted. 0 = "never"; 48 bits are stored, 8,900 years at 1,000 checkpoints a second.
public struct Version: Equatable, Comparable, Hashable, Sendable {
    public var value: UInt64
    @inlinable public init(_ value: UInt64) { self.value = value }
    @inlinable public static func < (a: Self, b: Self) -> Bool { a.value < b.value }
    public static let never = Version(0)
    public static let maximum = Version((1 << 48) - 1)
    @inlinable public var next: Version { Version(value &+ 1) }
}

/// Identity of a kernel object: index of its record and the generation of that record's use.
/// 24 bits each, so that a frame stamp can hold both.
public struct ObjectID: Equatable, Hashable, Sendable {
    public var index: UInt32
    public var generation: UInt32
    @inlinable public init(index: UInt32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }
    public static let none = ObjectID(index: 0, generation: 0)
    @inlinable public var isNone: Bool { self == .none }
    @inlinable public var packed: UInt64 {
        UInt64(index & 0xFF_FFFF) | UInt64(generation & 0xFF_FFFF) << 24
    }
    @inlinable public init(packed: UInt64) {
        index = UInt32(truncatingIfNeeded: packed) & 0xFF_FFFF
        generation = UInt32(truncatingIfNeeded: packed >> 24) & 0xFF_FFFF
    }
}

/// Index into a cap group's table of capabilities.
public struct Slot: Equatable, Hashable, Sendable {
    public var value: UInt32
    @inlinable public init(_ value: UInt32) { self.value = value }
    /// What user code says is a slot: a number too large becomes the last one, which no table has.
    @inlinable public init(alleged number: UInt64) {
        value = UInt32(exactly: number) ?? .max
    }
}
