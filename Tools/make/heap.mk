# The persistent heap: examples that are built and run as a user would, the long crash campaign, benchmarks.
.PHONY: test-heap crash-heap bench-heap bench-heap-tools heap-examples heap-server
HEAP_POINTS ?= 1000000
HEAP_ROUNDS ?= 3
HEAP_KILLS ?= 500
HEAP_SEEDS ?= 1 2 3
HEAP_BENCH = .build/bench
HEAP_EXAMPLES = --scratch-path .build/examples
# A folder of its own: alternating two packages in one builds what only one of them needs anew each time.
HEAP_SERVER_SCRATCH = --scratch-path .build/server
HEAP_SERVER = .build/server/release/kv-server

test: test-heap
test-heap: heap-examples
	Examples/todo/check.sh .build/examples/debug/todo
	Tools/install-packages.sh redis
	Examples/kv-server/differential.py .build/examples/debug/kv-server 3000 1
	Examples/kv-server/crash.py .build/examples/debug/kv-server 9 1

# One scratch folder for both examples: what they share is built once.
heap-examples:
	swift build --package-path Examples/todo $(HEAP_EXAMPLES)
	swift build --package-path Examples/kv-server $(HEAP_EXAMPLES)

heap-server:
	swift build -c release --package-path Examples/kv-server $(HEAP_EXAMPLES)

crash: crash-heap
crash-heap: heap-server
	swift build -c release --product heap-crash
	.build/release/heap-crash $(HEAP_POINTS)
	Tools/install-packages.sh redis
	for seed in $(HEAP_SEEDS); do Examples/kv-server/differential.py $(HEAP_SERVER) 20000 $$seed || exit 1; done
	Examples/kv-server/crash.py $(HEAP_SERVER) $(HEAP_KILLS)

# In the examples' scratch folder: the macro's libraries are built there already.
bench: bench-heap
bench-heap: bench-heap-tools heap-server
	swift build -c release --product heap-bench $(HEAP_EXAMPLES)
	cp .build/examples/release/heap-bench $(HEAP_SERVER) $(HEAP_BENCH)/
	Benchmarks/Heap/run.sh $(HEAP_BENCH) $(HEAP_ROUNDS) | tee $(HEAP_BENCH)/heap.json

# Debian's libpmemobj and redis, to be measured beside.
bench-heap-tools:
	Tools/install-packages.sh libpmemobj-dev redis
	mkdir -p $(HEAP_BENCH)
	gcc -O2 -Wall -march=native -o $(HEAP_BENCH)/floor Benchmarks/Heap/c/floor.c
	gcc -O2 -Wall -o $(HEAP_BENCH)/pmdk Benchmarks/Heap/c/pmdk.c -lpmemobj
	gcc -O2 -Wall -o $(HEAP_BENCH)/count Benchmarks/Heap/c/count.c
	gcc -O2 -Wall -o $(HEAP_BENCH)/ycsb Benchmarks/Heap/c/ycsb.c -lm
