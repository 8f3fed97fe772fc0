import ABI

/// Sums of versions, so that a write which a broken device lost is noticed: an old word is a good
/// word, but the versions of all records, or of all pages of a PMO, no longer add up to what was
/// recorded elsewhere.
///
/// Each record, or page with a frame, counts with a number that its place and its newest version
/// make. The commit record holds the sum over the records, a PMO's record that over its pages; both
/// are kept up to date by differences.
public enum VersionSum {
    /// What the sum grows by when the newest version of a place changes; `never`: it is not there.
    @inlinable public static func change(of place: UInt64, from old: Version, to new: Version)
        -> UInt64
    {
        term(place, new) &- term(place, old)
    }

    /// Mixed well (the finalizer of MurmurHash3, Appleby 2011), so that two changes hardly ever
    /// cancel out.
    @inlinable static func term(_ place: UInt64, _ born: Version) -> UInt64 {
        if born == .never { return 0 }
        var mixed = place &* 0x9E37_79B9_7F4A_7C15 ^ born.value
        mixed = (mixed ^ mixed >> 33) &* 0xFF51_AFD7_ED55_8CCD
        mixed = (mixed ^ mixed >> 33) &* 0xC4CE_B9FE_1A85_EC53
        return mixed ^ mixed >> 33
    }
}
