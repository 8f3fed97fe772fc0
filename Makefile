# One door for every chore. Each area adds its rules in Tools/make/*.mk.
SHELL := /bin/bash
.DELETE_ON_ERROR:
.DEFAULT_GOAL := build

.PHONY: build test demo bench sim crash fuzz docs format clean

include $(wildcard Tools/make/*.mk)

clean:
	rm -rf .build
