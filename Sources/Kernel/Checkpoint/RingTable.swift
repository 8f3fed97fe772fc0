import ABI
import Store

/// The rings by number. A ring stays here until its frames may be used again, though it is dead
/// before.
struct RingTable {
    private var places: InlineArray<64, PMOPointer?> = InlineArray(repeating: nil)
    /// Numbers below this were ever used.
    private(set) var limit = 0
    /// A ring came or went: the directory is not up to date.
    var mustPublish = false

    subscript(number: Int) -> PMOPointer? { places[number] }
    subscript(number: RingNumber) -> PMOPointer? { places[Int(number.value)] }

    mutating func insert(_ ring: PMOPointer, _ number: RingNumber) {
        assert(places[Int(number.value)] == nil, "a ring's number is taken")
        places[Int(number.value)] = ring
        limit = max(limit, Int(number.value) + 1)
        mustPublish = true
    }

    mutating func remove(_ number: RingNumber) {
        assert(places[Int(number.value)] != nil, "no such ring")
        places[Int(number.value)] = nil
        mustPublish = true
    }
}
