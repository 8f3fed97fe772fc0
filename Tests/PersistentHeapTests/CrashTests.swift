import HeapCrash
import PersistentHeap
import Testing

/// A slice of the campaign that `make crash` runs at length (`heap-crash`).
@Suite struct CrashTests {
    @Test(arguments: CrashCampaign.Kind.allCases) func everyPersistStepIsSurvived(kind: CrashCampaign.Kind) throws {
        for seed in 1...2 as ClosedRange<UInt64> {
            var campaign = CrashCampaign(seed: seed, kind: kind)
            campaign.operations = 10
            campaign.imagesPerStep = 1
            try campaign.run()
            #expect(campaign.result.points > 20)
        }
    }
}
