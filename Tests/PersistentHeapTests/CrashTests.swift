import HeapCrash
import PersistentHeap
import Testing

/// A slice of the campaign that `make crash` runs at length (`heap-crash`).
@Suite struct CrashTests {
    @Test(arguments: CrashCampaign.Kind.allCases) func everyPersistStepIsSurvived(
        kind: CrashCampaign.Kind
    ) throws {
        var campaign = CrashCampaign(seed: 1, kind: kind)
        campaign.operations = 8
        campaign.imagesPerStep = 1
        try campaign.run()
        #expect(campaign.result.points > 20)
    }
}
