import ABI
import Store

extension StoreFinding {
    /// The finding as a line for people.
    var text: String {
        switch self {
        case .unreadable(let error): "\(error.reason)"
        case .superblockCopy(let copy): "superblock: copy \(copy) fails its checksum"
        case .commitCopy(let slot, let copy): "commit slot \(slot): copy \(copy) fails its checksum"
        case .historyCopy(let slot, let copy):
            "history slot \(slot): copy \(copy) fails its checksum"
        case .recordTable(let large, let offset):
            "\(large ? "large" : "small") record table: the word at \(offset) fails its check"
        case .record(let index): "record \(recordName(index)) fails its check"
        case .recordSum:
            "a record is not the newest: their versions do not add up to the commit record's sum"
        case .pmo(let index): "record \(recordName(index)): a PMO that cannot be"
        case .node(let owner, let offset):
            "page tree of \(name(owner)): the word at \(offset) fails its check"
        case .pair(let owner, let page): "page \(page) of \(name(owner)): its pair fails its check"
        case .pageSum(let index):
            "record \(recordName(index)): a page is not the newest: their versions do not add up to its sum"
        case .pageBeyondEnd(let owner, let page):
            "page \(page) of \(name(owner)) lies behind its end"
        case .stamp(let frame): "frame \(frame.value): its stamp fails its check"
        case .wrongStamp(let frame): "frame \(frame.value): its stamp names another use"
        case .frameUsedTwice(let frame): "frame \(frame.value) is used twice"
        case .promised(let recorded, let counted):
            "the commit record counts \(recorded) promised frames, the tables \(counted)"
        case .pmoPromised(let index, let recorded, let counted):
            "record \(recordName(index)) counts \(recorded) promised frames, its tree \(counted)"
        }
    }

    private func recordName(_ index: UInt32) -> String {
        "\(index & ~RecordClass.largeBit)\(RecordClass.isLarge(index) ? " (large)" : "")"
    }

    private func name(_ owner: ObjectID) -> String { "object \(recordName(owner.index))" }
}
