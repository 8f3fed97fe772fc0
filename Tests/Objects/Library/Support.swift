import Foundation
import PersistentObjects

@Persistent struct Item {
    var number: Int
    var next: ObjectPointer<Item>?
}

@Persistent struct List {
    var head: ObjectPointer<Item>?
    var count: Int
    var title: PString
    var byName: PMap<PString, Int>
}

extension List {
    static var empty: List { List(head: nil, count: 0, title: PString(), byName: PMap()) }
}

/// A directory of its own for each test, removed at the end.
final class TemporarySpace {
    let path = FileManager.default.temporaryDirectory.path + "/space-\(UUID().uuidString)"
    deinit { try? FileManager.default.removeItem(atPath: path) }

    func open(_ domain: PersistenceDomain = .processCrash) throws -> ObjectSpace {
        try ObjectSpace(path: path, domain: domain)
    }
}

/// A child of this process that runs `body`, and ends with what it returns.
func forked(_ body: () -> Int32) -> Int32 {
    typealias Fork = @convention(c) () -> Int32
    guard let symbol = dlsym(nil, "fork") else { return -1 }
    let child = unsafeBitCast(symbol, to: Fork.self)()
    if child == 0 { _exit(body()) }
    return child
}
