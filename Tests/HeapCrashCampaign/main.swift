import Glibc
import HeapCrash
import PersistentHeap

// heap-crash [points] [first seed]: crash points until the number is reached, both log modes in turn.
let arguments = CommandLine.arguments
let wanted = arguments.count > 1 ? Int(arguments[1]) ?? 1_000_000 : 1_000_000
var seed = arguments.count > 2 ? UInt64(arguments[2]) ?? 1 : 1
var total = CrashCampaign.Result()
do {
    while total.points < wanted {
        var campaign = CrashCampaign(seed: seed, mode: seed % 2 == 0 ? .undo : .redo)
        try campaign.run()
        total.points += campaign.result.points
        total.recoveriesCut += campaign.result.recoveriesCut
        total.replayed += campaign.result.replayed
        total.undone += campaign.result.undone
        seed += 1
    }
    print("\(total.points) crash points, \(total.recoveriesCut) in recovery itself; "
        + "\(total.replayed) transactions replayed, \(total.undone) ranges undone; every state was right")
} catch {
    print("FAILED: \(error)\nreproduce: heap-crash 1 \(seed)")
    exit(1)
}
