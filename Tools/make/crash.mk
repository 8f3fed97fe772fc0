# Long campaigns of power cuts; not part of `make test`.
CRASH_CAMPAIGNS := counting script steady flips steps ports
.PHONY: $(addprefix crash-,$(CRASH_CAMPAIGNS))
#: crash: every long campaign of power cuts; one alone: crash-counting, -script, -steady, -flips, -steps, -ports, -heap, -heap-guest, -heap-server
crash: $(addprefix crash-,$(CRASH_CAMPAIGNS))
$(addprefix crash-,$(CRASH_CAMPAIGNS)): crash-%: build
	Tests/Crash/$*.sh

# A Swift program with a persistent heap inside the machine. Statically linked with Swift's runtime: the guest gets the program
# and the host's C library.
crash: crash-heap-guest
.PHONY: crash-heap-guest
crash-heap-guest: build heap-examples
	Tests/Crash/heap.sh .build/examples/debug/counter
