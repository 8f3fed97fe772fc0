import Glibc
import HeapCrash
import PersistentHeap

// heap-crash [points] [first seed]: rounds until the number of crash points is reached. The seed
// decides what a round does, so one seed reproduces it.
let arguments = CommandLine.arguments
let wanted = arguments.count > 1 ? Int(arguments[1]) ?? 1_000_000 : 1_000_000
var seed = arguments.count > 2 ? UInt64(arguments[2]) ?? 1 : 1
var results: [CrashCampaign.Kind: CrashCampaign.Result] = [:]
var points = 0
do {
    while points < wanted {
        var campaign = CrashCampaign(seed: seed)
        try campaign.run()
        results[campaign.kind, default: CrashCampaign.Result()].add(campaign.result)
        if points / 100_000 != (points + campaign.result.points) / 100_000 {
            let line = Array("\(points + campaign.result.points) points, seed \(seed)\n".utf8)
            _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
        }
        points += campaign.result.points
        seed += 1
    }
    for kind in CrashCampaign.Kind.allCases {
        guard let result = results[kind] else { continue }
        print(
            "\(kind): \(result.points) crash points, \(result.recoveriesCut) in recovery itself; "
                + "\(result.replayed) transactions replayed, \(result.undone) ranges undone, \(result.grown) files grown"
        )
    }
    print("\(points) crash points in all; every state was right")
} catch {
    print("FAILED: \(error)\nreproduce: heap-crash 1 \(seed)")
    exit(1)
}
