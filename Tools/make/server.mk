# The heap's example server (Examples/kv-server): checks beside redis, kills under load; and the heap's benchmarks, which
# measure it as well.
.PHONY: heap-server test-heap-server crash-heap-server bench-heap bench-heap-tools
HEAP_KILLS ?= 500
HEAP_SEEDS ?= 1 2 3
HEAP_ROUNDS ?= 3
HEAP_BENCH = .build/bench
# A folder of its own: alternating two packages in one builds what only one of them needs anew each time.
HEAP_SERVER_BUILD = --package-path Examples/kv-server --scratch-path .build/server
HEAP_SERVER = .build/server/release/kv-server

# SwiftNIO and the server are classes that call one another, and the check that no property is read while it is being
# changed costs a quarter of all instructions of a request. Debug builds make it.
#: heap-server: the example server on the persistent heap
heap-server:
	swift build -c release $(HEAP_SERVER_BUILD) -Xswiftc -enforce-exclusivity=unchecked

# Not part of `make test`: the first build compiles SwiftNIO and, for the macro, swift-syntax in release, which takes
# many minutes. Once it is built this check takes seconds.
test-heap-server: heap-server
	Tools/install-packages.sh redis
	Examples/kv-server/differential.py $(HEAP_SERVER) 3000 1
	Examples/kv-server/crash.py $(HEAP_SERVER) 9 1

crash: crash-heap-server
crash-heap-server: test-heap-server
	for seed in $(HEAP_SEEDS); do Examples/kv-server/differential.py $(HEAP_SERVER) 20000 $$seed || exit 1; done
	Examples/kv-server/crash.py $(HEAP_SERVER) $(HEAP_KILLS)

bench: bench-heap
bench-heap: bench-heap-tools heap-server
	swift build -c release --product heap-bench
	cp .build/release/heap-bench $(HEAP_SERVER) $(HEAP_BENCH)/
	Benchmarks/Heap/run.sh $(HEAP_BENCH) $(HEAP_ROUNDS) >$(HEAP_BENCH)/heap.json
	cat $(HEAP_BENCH)/heap.json

# Debian's libpmemobj and redis, to be measured beside.
bench-heap-tools:
	Tools/install-packages.sh libpmemobj-dev redis
	mkdir -p $(HEAP_BENCH)
	gcc -O2 -Wall -march=native -o $(HEAP_BENCH)/floor Benchmarks/Heap/c/floor.c
	gcc -O2 -Wall -o $(HEAP_BENCH)/pmdk Benchmarks/Heap/c/pmdk.c -lpmemobj
	gcc -O2 -Wall -o $(HEAP_BENCH)/count Benchmarks/Heap/c/count.c
	gcc -O2 -Wall -o $(HEAP_BENCH)/ycsb Benchmarks/Heap/c/ycsb.c -lm
	gcc -O2 -Wall -shared -fPIC -o $(HEAP_BENCH)/slowdisk.so Benchmarks/Heap/c/slowdisk.c
