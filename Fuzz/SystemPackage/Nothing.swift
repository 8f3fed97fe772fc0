// The host's console files import swift-system for paths, which the fuzzer has no use for.
