import HeapCrash
import PersistentHeap
import Testing

/// A slice of the campaign that `make crash` runs at length (`heap-crash`).
@Suite struct CrashTests {
    @Test(arguments: [LogMode.redo, .undo]) func everyPersistStepIsSurvived(mode: LogMode) throws {
        for seed in 1...3 as ClosedRange<UInt64> {
            var campaign = CrashCampaign(seed: seed, mode: mode)
            campaign.operations = 10
            campaign.imagesPerStep = 1
            try campaign.run()
            #expect(campaign.result.points > 50)
        }
    }
}
