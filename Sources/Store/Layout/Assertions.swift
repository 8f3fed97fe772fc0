/// Whether `assert` is on: in debug builds, in the simulated machine, in the fuzzers and in `make
/// image CHECKED=1` (`-assert-config Debug`). For assertions that must look at something borrowed,
/// or compute before they compare; all of it is gone from the normal image.
@inlinable @inline(__always) public var assertionsAreOn: Bool { _isDebugAssertConfiguration() }
