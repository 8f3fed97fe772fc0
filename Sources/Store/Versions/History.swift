import ABI

/// Which versions count: those up to the building one, except the intervals that crashes aborted.
///
/// A crash at committed version G leaves words stamped with versions above G on NVM. They are not
/// undone; the interval of versions that may have been in the making is written down once, at the
/// restore, and the versions are never used again. So restore costs nothing per page, and rolling
/// back to an older version is the same rule.
///
/// Invariants: intervals are disjoint, ascending, not empty, and end below `firstBuilding`.
public struct History: Sendable {
    public static let capacity = 240
    /// The version that the first checkpoint of this incarnation will commit.
    public internal(set) var firstBuilding = Version(1)
    /// Counts restores: the sequence number of the history slot.
    public internal(set) var incarnation: UInt64 = 0
    public internal(set) var count = 0
    var lowest = [UInt64](repeating: 0, count: History.capacity)
    var highest = [UInt64](repeating: 0, count: History.capacity)

    public init() {}

    /// Whether a version was aborted. Binary search over the intervals; the common case is one
    /// comparison.
    @inlinable public func isAborted(_ version: Version) -> Bool {
        if count == 0 || version.value > lastAborted { return false }
        return search(version.value)
    }
    public var lastAborted: UInt64 { count == 0 ? 0 : highest[count - 1] }

    @usableFromInline func search(_ value: UInt64) -> Bool {
        var low = 0
        var high = count
        while low < high {
            let middle = (low + high) / 2
            if highest[middle] < value { low = middle + 1 } else { high = middle }
        }
        return low < count && lowest[low] <= value
    }

    /// Notes that everything above `committed` that may have been begun is aborted, and picks the
    /// next version to build. Returns false when there is no room: the store must be scrubbed
    /// first.
    public mutating func abort(above committed: Version) -> Bool {
        let first = committed.value &+ 1
        let last = max(first, firstBuilding.value)
        if count > 0 && lowest[count - 1] == first {
            highest[count - 1] = last
        } else {
            if count == History.capacity { return false }
            lowest[count] = first
            highest[count] = last
            count += 1
        }
        firstBuilding = Version(last &+ 1)
        incarnation &+= 1
        assert(isConsistent, "intervals overlap, or reach into the future")
        assert(!isAborted(committed) && !isAborted(firstBuilding), "a needed version is aborted")
        return true
    }

    /// Forgets all intervals, after a scrub has removed every word that carries such a version.
    mutating func forgetIntervals() { count = 0 }

    public var isConsistent: Bool {
        var last: UInt64 = 0
        for index in 0..<count {
            if lowest[index] <= last || highest[index] < lowest[index] { return false }
            last = highest[index]
        }
        return last < firstBuilding.value
    }
}
