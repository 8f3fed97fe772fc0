# Fuzzers (Fuzz/README.md). `make fuzz` runs each target until its goal (a million store mutations, ten million native
# and ten million Linux calls) or, with SECONDS=n, for n seconds each. `make test` runs a short slice that is the same every time.

FUZZ := .build/fuzz/release/Fuzz
FUZZ_FOUND := .build/fuzz-found
FUZZ_TARGETS := store calls programs rings files linux frames
# No backtraces: libFuzzer's handlers keep the input. One hash seed: the same input is the same run.
FUZZ_ENVIRONMENT := SWIFT_BACKTRACE=enable=no SWIFT_DETERMINISTIC_HASHING=1
FUZZ_OPTIONS := -max_len=4096 -len_control=0 -timeout=300 -rss_limit_mb=4096 -print_final_stats=0 -verbosity=0

# Goals of a long run, in the unit of the target's first counter.
FUZZ_GOAL_store := 1000000
FUZZ_GOAL_calls := 10000000
FUZZ_GOAL_programs := 200000
FUZZ_GOAL_rings := 1000000
FUZZ_GOAL_files := 500000
FUZZ_GOAL_linux := 10000000
FUZZ_GOAL_frames := 10000000

# Inputs of the short slice.
FUZZ_RUNS_store := 1500
FUZZ_RUNS_calls := 250
FUZZ_RUNS_programs := 3000
FUZZ_RUNS_rings := 500
FUZZ_RUNS_files := 3000
FUZZ_RUNS_linux := 1200
FUZZ_RUNS_frames := 2000

.PHONY: build-fuzz test-fuzz $(FUZZ_TARGETS:%=fuzz-%) $(FUZZ_TARGETS:%=test-fuzz-%)

build-fuzz:
	EVERTREE_BUILD=fuzz swift build --scratch-path .build/fuzz -c release $(ASSERTIONS) --product Fuzz

#: fuzz: every fuzzer until its goal (SECONDS=n: for n seconds); one alone: fuzz-store, -calls, -programs, -rings, -files, -linux, -frames, -hosted, -guest
fuzz: $(FUZZ_TARGETS:%=fuzz-%)

$(FUZZ_TARGETS:%=fuzz-%): fuzz-%: build-fuzz
	@mkdir -p $(FUZZ_FOUND) .build/fuzz-corpus/$*
	$(FUZZ_ENVIRONMENT) $(FUZZ) $* $(FUZZ_OPTIONS) -artifact_prefix=$(FUZZ_FOUND)/$*- \
		$(if $(SECONDS),-max_total_time=$(SECONDS),--until=$(FUZZ_GOAL_$*)) \
		.build/fuzz-corpus/$* Fuzz/Corpus/$*

test: test-fuzz
test-fuzz: $(FUZZ_TARGETS:%=test-fuzz-%)

$(FUZZ_TARGETS:%=test-fuzz-%): test-fuzz-%: build-fuzz
	@rm -rf .build/fuzz-slice/$*
	@mkdir -p $(FUZZ_FOUND) .build/fuzz-slice/$*
	$(FUZZ_ENVIRONMENT) $(FUZZ) $* $(FUZZ_OPTIONS) -artifact_prefix=$(FUZZ_FOUND)/$*- \
		-seed=1 -runs=$(FUZZ_RUNS_$*) .build/fuzz-slice/$* Fuzz/Corpus/$*
