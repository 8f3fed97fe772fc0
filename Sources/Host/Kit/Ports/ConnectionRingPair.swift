import ABI
import Store

/// The outside of the connection rings in the mapped store (`ConnectionFrame`).
struct ConnectionRingPair {
    let output: RingView
    let input: InputWriter

    init(output: RingView, input: RingView) {
        self.output = output
        self.input = InputWriter(ring: input)
    }

    /// Nil until a version is committed in which the guest has made them.
    init?(_ file: MappedFile) {
        let memory = MappedMemory(file)
        guard let identity = try? Store<MappedMemory>.identify(memory).identity else { return nil }
        func ring(_ number: UInt64) -> RingView? {
            guard let number = RingNumber(number),
                let place = RingDirectory.find(number, in: memory, identity)
            else { return nil }
            return RingView(
                file, offset: place.first.offset, byteCount: place.frameCount * pageSize)
        }
        guard let output = ring(ConnectionFrame.outputRing),
            let input = ring(ConnectionFrame.inputRing)
        else { return nil }
        self.init(output: output, input: input)
    }

    /// Whether a store has room for them beside the table of missing paths.
    static func fit(_ layout: StoreLayout) -> Bool {
        UInt64(layout.eternalFrames) >= MissingPaths.pages + 2 * ConnectionFrame.pages
    }
}
