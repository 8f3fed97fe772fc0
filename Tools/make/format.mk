# Every Swift file in the house's shape (.swift-format). Comments are not wrapped by it.
.PHONY: format
#: format: every Swift file in the house's shape
format:
	swift format format --in-place --recursive --parallel Sources Tests Simulation Fuzz Examples Benchmarks \
		Package.swift
