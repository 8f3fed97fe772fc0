# The guest from end to end, as a user runs it: a short slice of the crash campaigns (`make crash` runs them whole).
test: test-guest
.PHONY: test-guest
test-guest: deps .build/evertree/kernel .build/evertree/linux-server
	swift build --product evertree
	EVERTREE=$(CURDIR)/.build/debug/evertree KILLS=5 Tests/Crash/counting.sh
	EVERTREE=$(CURDIR)/.build/debug/evertree KILLS=5 Tests/Crash/script.sh
