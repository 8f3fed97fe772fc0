import Testing

@testable import ABI

@Suite struct LayoutTests {
    @Test func registersAreLaidOutAsTheEntryCodeExpects() {
        #expect(MemoryLayout<Registers>.size == 160)
        #expect(MemoryLayout<Registers>.offset(of: \.rip) == RegisterOffset.rip)
        #expect(MemoryLayout<Registers>.offset(of: \.rflags) == RegisterOffset.rflags)
        #expect(MemoryLayout<Registers>.offset(of: \.fsBase) == RegisterOffset.fsBase)
        #expect(MemoryLayout<Registers>.offset(of: \.gsBase) == RegisterOffset.gsBase)
        #expect(MemoryLayout<RestrictedState>.size == Int(RestrictedState.byteCount))
    }

    @Test func sanitizedRegistersHoldNothingPrivileged() {
        var registers = Registers()
        registers.rflags = ~0
        registers.rip = ~0
        registers.fsBase = 0xFFFF_8000_0000_0000
        let safe = registers.sanitized
        #expect(safe.rflags & 0x3000 == 0, "IOPL")
        #expect(safe.rflags & 0x200 != 0, "IF")
        #expect(safe.rip == 0)
        #expect(safe.fsBase == 0)
    }

    @Test func bucketsAreOrderedAndTheirBoundsRoundTrip() {
        var last = -1
        // One to a bucket up to 31, then two, four, …: 32 and 33 share one.
        #expect(
            StatisticsLayout.bucket(nanoseconds: 32) == StatisticsLayout.bucket(nanoseconds: 33))
        for n: UInt64 in [0, 1, 15, 16, 17, 31, 32, 34, 1000, 123_456, 10_000_000, 1 << 40] {
            let bucket = StatisticsLayout.bucket(nanoseconds: n)
            #expect(bucket > last, "\(n)")
            #expect(bucket < StatisticsLayout.bucketCount)
            #expect(StatisticsLayout.lowerBound(bucket: bucket) <= n)
            #expect(StatisticsLayout.lowerBound(bucket: bucket + 1) > n)
            last = bucket
        }
    }

    @Test func objectIdentitiesPackInto48Bits() {
        let id = ObjectID(index: 0xABCDEF, generation: 0x123456)
        #expect(ObjectID(packed: id.packed) == id)
        #expect(id.packed >> 48 == 0)
    }
}
