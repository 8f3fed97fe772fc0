import ABI
import ACPI
import CMachinePC
import CRuntime
import Store

/// The store in the NVM region, before there is a kernel.
enum StoreSetup {
    /// The region, with the persistence domain that its store was made for. A region that holds no
    /// store is formatted if `mayFormat` says so; the host's tools do that otherwise.
    static func open(_ platform: Platform, mayFormat: Bool, clock: Clock) -> NVM {
        let region = NVM(
            physicalBase: platform.persistentBase, byteCount: platform.persistentBytes,
            domain: .coherentCache)
        do throws(StoreError) {
            return region.with(domain: try Store<NVM>.identify(region).identity.domain)
        } catch {
            guard case .notAStore = error, mayFormat else { refuse(error) }
        }
        do throws(StoreError) {
            try Store<NVM>.format(region, identity: newIdentity(region, clock))
        } catch {
            refuse(error)
        }
        return region
    }

    private static func newIdentity(_ region: NVM, _ clock: Clock) -> StoreIdentity {
        var identity = StoreIdentity(
            uuidLow: 0, uuidHigh: 0, frameCount: region.frameCount, domain: region.domain,
            created: clock.wallNanoseconds())
        arc4random_buf(&identity.uuidLow, 8)
        arc4random_buf(&identity.uuidHigh, 8)
        return identity
    }

    /// The machine stops with the reason, which the host finds on the debug port (a region without
    /// a store has no place for it).
    static func refuse(_ error: StoreError) -> Never { Boot.fail(error.reason) }
}
