# Long campaigns of power cuts; not part of `make test`.
crash: crash-counting crash-flips
.PHONY: crash-counting crash-flips
crash-counting: build
	Tests/Crash/counting.sh
crash-flips: build
	Tests/Crash/flips.sh
