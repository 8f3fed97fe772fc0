import ABI
import Machine
import MachineSim
import Store

/// A machine without processors: the test plays user code by setting registers and raising events. Translations are
/// dictionaries, so the test can also read and write memory as user code would, faults included.
struct CallMachine: Machine {
    struct Entry { var target: FrameNumber; var writable: Bool; var tracked: Bool }
    final class State {
        var time: UInt64 = 1000
        var translations: [UInt64: [UInt64: Entry]] = [:]
        var nextTranslation: UInt64 = 1
        var interrupted: [Int] = []
        var doorbells = 0
        var text = ""
        var isHalted = false
    }
    let nvm: SimulatedNVM
    let coreCount: Int
    let state = State()

    func monotonicNanoseconds() -> UInt64 { state.time }
    func wallClockNanoseconds() -> UInt64 { 1_700_000_000_000_000_000 + state.time }
    func setTimer(core: Int, at deadlineNanoseconds: UInt64) {}
    func interruptCore(_ core: Int) { state.interrupted.append(core) }
    func quiesceOtherCores(from core: Int) {}
    func saveFloatingPoint(_ context: UnsafeMutablePointer<ThreadContext>) {}
    func loadFloatingPoint(_ context: UnsafeMutablePointer<ThreadContext>) {}
    func makeTranslation() -> Translation? {
        defer { state.nextTranslation += 1 }
        state.translations[state.nextTranslation] = [:]
        return Translation(state.nextTranslation)
    }
    func dropTranslation(_ translation: Translation) { state.translations[translation.value] = nil }
    func install(
        _ translation: Translation, address: UserAddress, target: MappingTarget, protection: Protection,
        tracked: Bool
    ) -> Bool {
        guard case .frame(let frame) = target else { return true }
        state.translations[translation.value]?[address.pageNumber] = Entry(
            target: frame, writable: protection.contains(.write), tracked: tracked)
        return true
    }
    func remove(_ translation: Translation, from address: UserAddress, pages: UInt64, core: Int) {
        let range = address.pageNumber..<(address.pageNumber + pages)
        state.translations[translation.value] = state.translations[translation.value]?.filter {
            !range.contains($0.key)
        }
    }
    func lookUp(_ translation: Translation, address: UserAddress) -> (frame: FrameNumber, writable: Bool)? {
        guard let entry = state.translations[translation.value]?[address.pageNumber] else { return nil }
        return (entry.target, entry.writable)
    }
    func revokeWrites() {
        for (space, entries) in state.translations {
            state.translations[space] = entries.mapValues {
                Entry(target: $0.target, writable: $0.writable && !$0.tracked, tracked: $0.tracked)
            }
        }
    }
    func ringDoorbell() { state.doorbells += 1 }
    func unmask(line: UInt8) {}
    func debugWrite(_ byte: UInt8) { state.text.append(Character(UnicodeScalar(byte))) }
    func halt() { state.isHalted = true }
}
