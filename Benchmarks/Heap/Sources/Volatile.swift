/// The same workloads on ordinary memory: structures behind pointers, and reference counted
/// classes.
enum VolatileBenchmarks {
    static func swaps(_ count: Int) {
        let length = 1_000_000
        let array = UnsafeMutablePointer<Int>.allocate(capacity: length)
        for index in 0..<length { array[index] = index }
        var stream = Stream(42)
        let start = nanoseconds()
        for _ in 0..<count {
            let a = stream.below(length)
            let b = stream.below(length)
            (array[a], array[b]) = (array[b], array[a])
        }
        report("sps", count, since: start)
        expect((0..<length).reduce(0) { $0 + array[$1] } == length * (length - 1) / 2, "sum")
        array.deallocate()
    }

    struct Link {
        var value: Int
        var next: UnsafeMutablePointer<Link>?
    }

    static func list(_ count: Int) {
        var head: UnsafeMutablePointer<Link>?
        var tail: UnsafeMutablePointer<Link>?
        var start = nanoseconds()
        for value in 0..<count {
            let link = UnsafeMutablePointer<Link>.allocate(capacity: 1)
            link.initialize(to: Link(value: value, next: nil))
            if let tail { tail.pointee.next = link } else { head = link }
            tail = link
        }
        report("list.append", count, since: start)
        for pass in 0..<2 {
            var sum = 0
            start = nanoseconds()
            var next = head
            while let link = next {
                sum &+= link.pointee.value
                next = link.pointee.next
            }
            if pass == 1 { report("list.walk", count, since: start) }
            expect(sum == count * (count - 1) / 2, "list")
        }
    }

    struct Entry {
        var key: UInt64
        var value: Int
        var next: UnsafeMutablePointer<Entry>?
    }

    @inline(__always)
    static func find(
        _ buckets: UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>, _ mask: Int, _ key: UInt64
    ) -> UnsafeMutablePointer<Entry>? {
        var next = buckets[Int(truncatingIfNeeded: key) & mask]
        while let entry = next {
            if entry.pointee.key == key { return entry }
            next = entry.pointee.next
        }
        return nil
    }

    static func map(_ count: Int) {
        var size = 1
        while size < count { size *= 2 }
        let buckets = UnsafeMutablePointer<UnsafeMutablePointer<Entry>?>.allocate(capacity: size)
        buckets.initialize(repeating: nil, count: size)
        var start = nanoseconds()
        for index in 0..<count {
            let key = key(index)
            expect(find(buckets, size - 1, key) == nil, "duplicate")
            let bucket = Int(truncatingIfNeeded: key) & (size - 1)
            let entry = UnsafeMutablePointer<Entry>.allocate(capacity: 1)
            entry.initialize(to: Entry(key: key, value: index, next: buckets[bucket]))
            buckets[bucket] = entry
        }
        report("map.insert", count, since: start)
        var stream = Stream(7)
        var sum = 0
        start = nanoseconds()
        for _ in 0..<count {
            sum &+= find(buckets, size - 1, key(stream.below(count)))?.pointee.value ?? 0
        }
        report("map.lookup", count, since: start)
        keep(sum)
    }

    final class TreeObject {
        let left: TreeObject?
        let right: TreeObject?
        init(_ depth: Int) {
            left = depth > 0 ? TreeObject(depth - 1) : nil
            right = depth > 0 ? TreeObject(depth - 1) : nil
        }
        func check() -> Int {
            guard let left, let right else { return 1 }
            return 1 + left.check() + right.check()
        }
    }

    static func treesOfObjects(_ depth: Int) {
        let start = nanoseconds()
        var nodes = TreeObject(depth + 1).check()
        let long = TreeObject(depth)
        for small in stride(from: 4, through: depth, by: 2) {
            for _ in 0..<(1 << (depth - small + 4)) { nodes += TreeObject(small).check() }
        }
        nodes += long.check()
        report("tree", nodes, since: start)
    }

    struct Hop {
        var next: UnsafeMutablePointer<Hop>
        var pad = (0, 0, 0, 0, 0, 0, 0)
    }

    @inline(never) static func chase(_ start: UnsafeMutablePointer<Hop>, _ hops: Int)
        -> UnsafeMutablePointer<Hop>
    {
        var at = start
        for _ in 0..<hops { at = at.pointee.next }
        return at
    }

    static func chase(_ nodes: Int, _ name: String, _ hops: Int) {
        let order = shuffled(nodes)
        let all = UnsafeMutableRawPointer.allocate(byteCount: nodes * 64, alignment: 64)
            .bindMemory(to: Hop.self, capacity: nodes)
        for index in 0..<nodes {
            (all + order[index]).initialize(to: Hop(next: all + order[(index + 1) % nodes]))
        }
        keep(chase(all + order[0], nodes))
        let start = nanoseconds()
        keep(chase(all + order[0], hops))
        report("chase.\(name)", hops, since: start)
    }
}
