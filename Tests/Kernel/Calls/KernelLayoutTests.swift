import Machine
import Testing

@testable import Kernel

/// What the entry code takes for granted about the kernel's own types.
@Suite struct KernelLayoutTests {
    @Test func aThreadsContextComesFirstAndIsAlignedForFXSAVE() {
        #expect(MemoryLayout<Thread>.alignment == 16)
        #expect(MemoryLayout<Thread>.offset(of: \.context) == 0)
        #expect(MemoryLayout<ThreadContext>.size.isMultiple(of: 16))
    }
}
