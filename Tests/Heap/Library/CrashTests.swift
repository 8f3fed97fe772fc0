import HeapCrash
import PersistentHeap
import Testing

/// A slice of the campaign that `make crash` runs at length (`heap-crash`).
@Suite struct CrashTests {
    /// Seeds 9 and 59 commit by journal blocks, 59 with few private pages and with large objects left
    /// out of the blocks.
    @Test(arguments: CrashCampaign.Kind.allCases, [1, 9, 59])
    func everyPersistStepIsSurvived(
        kind: CrashCampaign.Kind, seed: UInt64
    ) throws {
        var campaign = CrashCampaign(seed: seed, kind: kind)
        campaign.operations = 8
        campaign.imagesPerStep = 1
        try campaign.run()
        #expect(campaign.result.points > 20)
    }
}
