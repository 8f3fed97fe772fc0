import ABI

/// A guest's floating-point state: the 512-byte FXSAVE area (Intel SDM vol. 1, 10.5.1). The native
/// thread that serves a guest thread carries it, so it moves only at clone, execve and around
/// signal handlers.
struct FloatingPoint {
    static let byteCount = 512
    private(set) var bytes: Bytes

    /// As after `fninit` with all exceptions masked.
    init() {
        bytes = Bytes(repeating: 0, count: FloatingPoint.byteCount)
        bytes[0] = 0x7F
        bytes[1] = 0x03
        bytes[24] = 0x80
        bytes[25] = 0x1F
    }

    /// A state that a guest gave (sigreturn); the kernel drops reserved bits.
    init(_ bytes: Bytes) {
        self.init()
        if bytes.count == FloatingPoint.byteCount { self.bytes = bytes }
    }

    /// The state of the calling native thread.
    static func save() -> FloatingPoint {
        var state = FloatingPoint()
        state.bytes.withUnsafeMutableBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            _ = Native.call(.threadFPU, 0, UInt64(UInt(bitPattern: base)))
        }
        return state
    }

    /// Gives the calling native thread this state.
    func load() {
        bytes.withUnsafeBytes { buffer in
            guard let base = buffer.baseAddress else { return }
            _ = Native.call(.threadFPU, 1, UInt64(UInt(bitPattern: base)))
        }
    }
}
