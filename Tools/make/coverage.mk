# Line coverage of the store and of the kernel's checkpoint and restore, by tests and simulation. Prints a table, then each
# line that nothing ran. Built in a package of its own (Tools/coverage), which is small.

COVERAGE := .build/coverage
COVERAGE_SWIFT := --package-path Tools/coverage --scratch-path $(COVERAGE)
# The toolchain's own: they must know its format.
LLVM_BIN = $(dir $(shell readlink -f $$(command -v swiftc)))
COVERAGE_SEEDS := 1..<100
COVERED := Sources/Store $(addprefix Sources/Kernel/Kernel+,Checkpoint.swift Records.swift Restore.swift \
	RestoreLinks.swift Rings.swift Decommit.swift)

.PHONY: coverage
coverage:
	rm -f $(COVERAGE)/debug/codecov/*.profraw
	swift test $(COVERAGE_SWIFT) --enable-code-coverage
	LLVM_PROFILE_FILE=$(COVERAGE)/debug/codecov/sim-%p.profraw \
		$(COVERAGE)/debug/evertree-sim --seeds '$(COVERAGE_SEEDS)' --stride 200
	LLVM_PROFILE_FILE=$(COVERAGE)/debug/codecov/mutate-%p.profraw $(COVERAGE)/debug/evertree-sim mutate --count 500
	$(LLVM_BIN)llvm-profdata merge -sparse $(COVERAGE)/debug/codecov/*.profraw -o $(COVERAGE)/all.profdata
	Tools/coverage/report $(LLVM_BIN)llvm-cov $(COVERAGE) $(COVERED)
