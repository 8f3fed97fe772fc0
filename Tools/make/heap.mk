# The persistent heap: examples that are built and run as a user would, the long crash campaign. Its server and its benchmarks: server.mk
.PHONY: test-heap crash-heap heap-examples
HEAP_POINTS ?= 1000000

test: test-heap
test-heap: heap-examples
	Examples/todo/check.sh .build/examples/debug/todo

heap-examples:
	swift build --package-path Examples/todo --scratch-path .build/examples

crash: crash-heap
crash-heap:
	swift build -c release --product heap-crash
	.build/release/heap-crash $(HEAP_POINTS)
