import Testing

@testable import LinuxServer

/// What keeps costs from growing with the number of descriptors and sockets.
@Suite struct DescriptorSetTests {
    /// Against a set of numbers, through random insertions and removals up to beyond a full group.
    @Test(arguments: 1...20 as ClosedRange<UInt64>) func findsTheLowestFree(seed: UInt64) {
        var state = seed &* 0x9E37_79B9_7F4A_7C15
        func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }
        var set = DescriptorSet()
        var model = Set<Int>()
        for round in 0..<3000 {
            if next(5) == 0, let some = model.randomElement() {
                set.remove(some)
                model.remove(some)
            } else {
                let lowest = round % 7 == 0 ? next(5000) : 0
                var expected = lowest
                while model.contains(expected) { expected += 1 }
                let found = set.firstFree(from: lowest)
                #expect(found == expected)
                set.insert(found)
                model.insert(found)
            }
        }
    }

    @Test func fullGroupsAreSkipped() {
        var set = DescriptorSet()
        for descriptor in 0..<(64 * 64 * 2) { set.insert(descriptor) }
        #expect(set.firstFree(from: 0) == 64 * 64 * 2)
        set.remove(64 * 64 + 5)
        #expect(set.firstFree(from: 0) == 64 * 64 + 5)
        #expect(set.firstFree(from: 64 * 64 + 6) == 64 * 64 * 2)
    }

    @Test func queueKeepsOrderThroughAppendsAndTakes() {
        var queue = Queue<Int>()
        var taken = 0
        for number in 0..<1000 {
            queue.append(number)
            if number % 3 != 0 {
                #expect(queue.popFirst() == taken)
                taken += 1
            }
        }
        #expect(queue.count == 1000 - taken)
        #expect(queue[1] == taken + 1)
        queue.keep { $0 % 2 == 0 }
        while let number = queue.popFirst() { #expect(number % 2 == 0) }
        #expect(queue.isEmpty)
    }

    @Test func addressesSurviveTheirEncoding() throws {
        let four = InternetAddress.four(0x7F00_0001, port: 8080)
        #expect(try InternetAddress.parse(four.encoded(.internet), .internet) == four)
        #expect(try InternetAddress.parse(four.encoded(.internet6), .internet6) == four)
        #expect(throws: Errno.ENETUNREACH) {
            try InternetAddress.four(0x0808_0808, port: 1).destination(.internet)
        }
        #expect(throws: Errno.EINVAL) { try InternetAddress.parse([2, 0, 0], .internet) }
        #expect(throws: Errno.EAFNOSUPPORT) {
            try InternetAddress.parse(Bytes(repeating: 1, count: 16), .internet)
        }
    }
}
