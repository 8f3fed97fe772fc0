# One door for every chore. Each area adds its rules in Tools/make/*.mk.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

.PHONY: build test demo bench sim crash fuzz docs format clean help

# What optimised builds need for `assert` to be on: the simulated machine and the fuzzers always, the image with CHECKED=1.
ASSERTIONS := -Xswiftc -assert-config -Xswiftc Debug

include $(wildcard Tools/make/*.mk)

#: clean: removes everything that was built
clean:
	rm -rf .build

#: help: this list
help:
	@sed -n 's/^#: \([a-z-]*\): /\1\t/p' Makefile $(wildcard Tools/make/*.mk) | sort | \
		while IFS=$$'\t' read -r verb text; do printf 'make %-12s %s\n' "$$verb" "$$text"; done
