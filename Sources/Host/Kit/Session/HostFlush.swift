import ABI
import Glibc
import Store
import SystemPackage

/// The host's half of a fence in the domain `hostFlush` (`StatisticsLayout`): a request is answered
/// when the file is on the disk.
struct HostFlush: ~Copyable {
    private let memory: MappedFile
    private let file: FileDescriptor

    /// Nil when the store is in another domain.
    init?(_ directory: StoreDirectory, _ memory: MappedFile) throws(HostError) {
        guard let store = try? Store<MappedMemory>.identify(MappedMemory(memory)).identity,
            store.domain == .hostFlush
        else { return nil }
        self.memory = memory
        file = try Files.open(directory.nvm, .readWrite)
    }

    /// Answers a request if there is one. Everything that the guest stored before it is in the
    /// file's pages by then.
    func serve() throws(HostError) {
        let page = Int(StoreLayout.statistics.offset)
        let number = memory.load(page + StatisticsLayout.flushRequestOffset)
        if memory.load(page + StatisticsLayout.flushDoneOffset) == number { return }
        guard fdatasync(file.rawValue) == 0 else {
            throw Files.error("fdatasync", memory.path, Errno(rawValue: errno))
        }
        memory.store(number, at: page + StatisticsLayout.flushDoneOffset)
    }

    deinit { try? file.close() }
}
