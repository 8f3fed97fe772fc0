# The persistent heap: examples that are built and run as a user would, the long crash campaign, benchmarks.
.PHONY: docs-heap test-heap crash-heap bench-heap bench-heap-tools heap-examples
HEAP_POINTS ?= 1000000
HEAP_ROUNDS ?= 3
HEAP_KILLS ?= 500
HEAP_BENCH = .build/bench

test: test-heap
test-heap: heap-examples
	Examples/todo/check.sh .build/examples/debug/todo

# One scratch folder for both examples: what they share is built once.
heap-examples:
	swift build --package-path Examples/todo --scratch-path .build/examples

crash: crash-heap
crash-heap:
	swift build -c release --product heap-crash
	.build/release/heap-crash $(HEAP_POINTS)
	swift build -c release --package-path Examples/kv-server --scratch-path .build/examples
	Examples/kv-server/crash.py .build/examples/release/kv-server $(HEAP_KILLS)

# The DocC archive of the library, without a plug-in: symbol graph, then docc.
HEAP_DOCS = .build/heap-docs
docs: docs-heap
docs-heap:
	swift build --target PersistentHeap
	rm -rf $(HEAP_DOCS) && mkdir -p $(HEAP_DOCS)/symbols
	bin=$$(swift build --show-bin-path) && swift-symbolgraph-extract -module-name PersistentHeap \
	  -target x86_64-unknown-linux-gnu -minimum-access-level public -I $$bin/Modules \
	  -I Sources/CPersistentMemory/include -Xcc -fmodule-map-file=$$bin/CPersistentMemory.build/module.modulemap \
	  -output-dir $(HEAP_DOCS)/symbols
	docc convert Sources/PersistentHeap/PersistentHeap.docc --additional-symbol-graph-dir $(HEAP_DOCS)/symbols \
	  --fallback-display-name PersistentHeap --fallback-bundle-identifier evertree.PersistentHeap \
	  --output-dir $(HEAP_DOCS)/PersistentHeap.doccarchive

bench: bench-heap
bench-heap: bench-heap-tools
	swift build -c release --product heap-bench
	cp .build/release/heap-bench $(HEAP_BENCH)/
	Benchmarks/Heap/run.sh $(HEAP_BENCH) $(HEAP_ROUNDS) | tee $(HEAP_BENCH)/heap.json

# Debian's libpmemobj, to be measured beside; installed if it is not there.
bench-heap-tools:
	test -e /usr/include/libpmemobj.h || apt-get install -y libpmemobj-dev redis
	mkdir -p $(HEAP_BENCH)
	gcc -O2 -Wall -march=native -o $(HEAP_BENCH)/floor Benchmarks/Heap/c/floor.c
	gcc -O2 -Wall -o $(HEAP_BENCH)/pmdk Benchmarks/Heap/c/pmdk.c -lpmemobj
	gcc -O2 -Wall -o $(HEAP_BENCH)/count Benchmarks/Heap/c/count.c
