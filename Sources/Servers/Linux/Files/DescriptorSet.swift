/// Which descriptors are in use, so that the lowest free one is found without a walk over all.
///
/// Invariants: bit d of `words` is set exactly for descriptors in use; bit w of `full` is set
/// exactly when all 64 bits of word w are.
struct DescriptorSet {
    private var words: [UInt64] = []
    private var full: [UInt64] = []

    mutating func insert(_ descriptor: Int) {
        let word = descriptor / 64
        while words.count <= word { words.append(0) }
        while full.count <= word / 64 { full.append(0) }
        words[word] |= 1 << UInt64(descriptor % 64)
        if words[word] == .max { full[word / 64] |= 1 << UInt64(word % 64) }
    }

    mutating func remove(_ descriptor: Int) {
        let word = descriptor / 64
        guard word < words.count else { return }
        words[word] &= ~(1 << UInt64(descriptor % 64))
        full[word / 64] &= ~(1 << UInt64(word % 64))
    }

    /// The lowest descriptor from `lowest` (not negative) on that is free.
    func firstFree(from lowest: Int) -> Int {
        var word = lowest / 64
        guard word < words.count else { return lowest }
        let free = ~words[word] & (UInt64.max << UInt64(lowest % 64))
        if free != 0 { return word * 64 + free.trailingZeroBitCount }
        word += 1
        var group = word / 64
        var mask = UInt64.max << UInt64(word % 64)
        while group < full.count {
            let open = ~full[group] & mask
            if open != 0 {
                word = group * 64 + open.trailingZeroBitCount
                return word < words.count
                    ? word * 64 + (~words[word]).trailingZeroBitCount : word * 64
            }
            mask = .max
            group += 1
        }
        return max(words.count * 64, lowest)
    }
}
