import Glibc
import ObjectCrash

// object-crash [points] [first seed]: rounds until the number of crash points is reached.
// The seed decides what a round does.
let arguments = CommandLine.arguments
let wanted = arguments.count > 1 ? Int(arguments[1]) ?? 1_000_000 : 1_000_000
var seed = arguments.count > 2 ? UInt64(arguments[2]) ?? 1 : 1
var result = ObjectCampaign.Result()
do {
    while result.points < wanted {
        var campaign = ObjectCampaign(seed: seed)
        try campaign.run()
        result.add(campaign.result)
        seed += 1
    }
    print(
        "\(result.points) crash points, \(result.recoveriesCut) in recovery itself; \(result.replayed) transactions replayed, "
            + "\(result.undone) ranges undone, \(result.orphans) objects and \(result.entries) entries taken back; every state was right"
    )
} catch {
    print("FAILED: \(error)\nreproduce: object-crash 1 \(seed)")
    exit(1)
}
