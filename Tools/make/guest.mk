# The guest from end to end, as a user runs it: a short slice of the crash campaigns (`make crash` runs them whole).
# One core: on a busy host with two processors, a guest with two cores waits for the host's scheduler at each checkpoint.
test: test-guest
.PHONY: test-guest
test-guest: deps heap-examples .build/evertree/kernel .build/evertree/linux-server
	swift build --product evertree
	EVERTREE=$(CURDIR)/.build/debug/evertree KILLS=5 CPUS=1 Tests/Crash/counting.sh
	EVERTREE=$(CURDIR)/.build/debug/evertree KILLS=5 CPUS=1 Tests/Crash/script.sh
	EVERTREE=$(CURDIR)/.build/debug/evertree KILLS=3 CPUS=2 KERNEL_WORD=hot-pages=1024 Tests/Crash/counting.sh
	EVERTREE=$(CURDIR)/.build/debug/evertree KILLS=3 CPUS=1 Tests/Crash/connections.sh
	EVERTREE=$(CURDIR)/.build/debug/evertree KILLS=3 CPUS=1 Tests/Crash/ports.sh
	EVERTREE=$(CURDIR)/.build/debug/evertree KILLS=3 CPUS=1 Tests/Crash/heap.sh .build/examples/debug/counter

#: servers: redis, memcached and python3 of Debian in the guest, compared with Linux
.PHONY: servers
servers: build
	Tests/Linux/servers/compare.sh .build/release/evertree
