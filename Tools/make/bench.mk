# Costs of the kernel's primitives in the guest: times, then instruction counts. Never decides a test.
#: bench: all benchmarks; one alone: bench-kernel, bench-heap
bench: bench-kernel
.PHONY: bench-kernel
bench-kernel: deps .build/evertree/kernel .build/evertree/KernelBenchmark
	Benchmarks/kernel.sh
	Benchmarks/kernel.sh instructions
