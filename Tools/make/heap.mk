# The persistent heap: examples that are built and run as a user would, the long crash campaign, the documentation. Its server
# and its benchmarks: server.mk
.PHONY: docs-heap test-heap test-heap-large crash-heap heap-examples
HEAP_POINTS ?= 1000000
HEAP_KEYS ?= 5000000

test: test-heap
test-heap: heap-examples
	Examples/todo/check.sh .build/examples/debug/todo
	Examples/todo/check-bookshelf.sh .build/examples/debug/bookshelf .build/examples/debug/bookshelf1

heap-examples:
	swift build --package-path Examples/todo --scratch-path .build/examples --static-swift-stdlib

#: test-heap-large: containers of millions of keys (HEAP_KEYS), under each log, on an ordinary file
test-heap-large:
	swift build -c release --product heap-bench
	for log in redo undo; do .build/release/heap-bench grow $$log .build/large.heap $(HEAP_KEYS) || exit 1; done
	rm -f .build/large.heap

crash: crash-heap
crash-heap:
	swift build -c release --product heap-crash
	.build/release/heap-crash $(HEAP_POINTS)

# The DocC archive of the library, without a plug-in: symbol graph, then docc.
HEAP_DOCS = .build/heap-docs
docs: docs-heap
docs-heap:
	swift build --target PersistentHeap
	rm -rf $(HEAP_DOCS) && mkdir -p $(HEAP_DOCS)/symbols
	bin=$$(swift build --show-bin-path) && swift-symbolgraph-extract -module-name PersistentHeap \
	  -experimental-allowed-reexported-modules=HeapCore -target x86_64-unknown-linux-gnu -minimum-access-level public -I $$bin/Modules \
	  -I Sources/Heap/Region/C/include -Xcc -fmodule-map-file=$$bin/CPersistentMemory.build/module.modulemap \
	  -output-dir $(HEAP_DOCS)/symbols
	docc convert Sources/Heap/Library/PersistentHeap.docc --additional-symbol-graph-dir $(HEAP_DOCS)/symbols \
	  --fallback-display-name PersistentHeap --fallback-bundle-identifier evertree.PersistentHeap \
	  --output-dir $(HEAP_DOCS)/PersistentHeap.doccarchive
