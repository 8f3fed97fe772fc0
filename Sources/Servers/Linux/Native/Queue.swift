/// First in, first out: appending and taking cost the same however many wait.
///
/// Invariants: the elements are `slots[head...]`, all present; what lies before `head` is nil.
struct Queue<Element> {
    private var slots: [Element?] = []
    private var head = 0

    var count: Int { slots.count - head }
    var isEmpty: Bool { slots.count == head }
    var first: Element? { head < slots.count ? slots[head] : nil }

    mutating func append(_ element: Element) { slots.append(element) }

    mutating func popFirst() -> Element? {
        guard head < slots.count else { return nil }
        let element = slots[head]
        slots[head] = nil
        head += 1
        if head == slots.count {
            slots.removeAll(keepingCapacity: head <= 64)
            head = 0
        } else if head >= 32, head * 2 >= slots.count {
            slots.removeFirst(head)
            head = 0
        }
        return element
    }

    /// The element `index` places behind the first.
    subscript(index: Int) -> Element? {
        get { index >= 0 && index < count ? slots[head + index] : nil }
        set { if index >= 0, index < count { slots[head + index] = newValue } }
    }

    /// Keeps only some elements, in their order.
    mutating func keep(where isKept: (Element) -> Bool) {
        var kept: [Element?] = []
        for slot in slots[head...] {
            if let element = slot, isKept(element) { kept.append(element) }
        }
        slots = kept
        head = 0
    }
}
