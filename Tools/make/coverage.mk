# Line coverage of the store and of the kernel's checkpoint and restore, by tests and simulation. Prints a table, then each
# line that nothing ran. Built from the core alone, which is small.

COVERAGE := .build/coverage
COVERAGE_SWIFT := --scratch-path $(COVERAGE)
# The toolchain's own: they must know its format.
LLVM_BIN = $(dir $(shell readlink -f $$(command -v swiftc)))
COVERAGE_SEEDS := 1..<100
COVERED := Sources/Store Sources/Kernel/Checkpoint Sources/Kernel/Restore Sources/Kernel/Memory/Kernel+Decommit.swift

.PHONY: coverage
#: coverage: lines of the store and of checkpoint and restore that nothing ran
coverage:
	rm -f $(COVERAGE)/debug/codecov/*.profraw
	EVERTREE_BUILD=core swift test $(COVERAGE_SWIFT) --enable-code-coverage
	LLVM_PROFILE_FILE=$(COVERAGE)/debug/codecov/sim-%p.profraw \
		$(COVERAGE)/debug/evertree-sim --seeds '$(COVERAGE_SEEDS)' --stride 200
	LLVM_PROFILE_FILE=$(COVERAGE)/debug/codecov/mutate-%p.profraw $(COVERAGE)/debug/evertree-sim mutate --count 500
	$(LLVM_BIN)llvm-profdata merge -sparse $(COVERAGE)/debug/codecov/*.profraw -o $(COVERAGE)/all.profdata
	Tools/coverage-report $(LLVM_BIN)llvm-cov $(COVERAGE) $(COVERED)
