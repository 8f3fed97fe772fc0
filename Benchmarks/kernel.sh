#!/usr/bin/env bash
# The kernel's primitives, measured from ring 3 in the guest (Sources/Servers/Tests/KernelBenchmark): JSON lines.
# Usage: Benchmarks/kernel.sh [instructions]
# With "instructions": one core under QEMU's -icount, where a nanosecond is one instruction and runs repeat exactly.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir -p "$work/files/.evertree"
cp .build/evertree/KernelBenchmark "$work/files/.evertree/server"
(cd "$work/files" && printf '.evertree/server\n' | cpio --quiet -o -H newc) >"$work/bundle"
truncate --size=256M "$work/nvm"
mode=(-accel tcg,thread=multi -smp 2)
[ "${1:-}" != instructions ] || mode=(-accel tcg,thread=single -icount "shift=0,sleep=off" -smp 1)
# The kernel ends the machine when the program is done: status 99.
qemu-system-x86_64 "${mode[@]}" -cpu max,-erms -machine q35,nvdimm=on -m 512M,slots=1,maxmem=4G \
    -object "memory-backend-file,id=nvm,share=on,mem-path=$work/nvm,size=256M" -device nvdimm,memdev=nvm \
    -nodefaults -no-user-config -display none -no-reboot -serial stdio -serial null \
    -device isa-debug-exit,iobase=0xf4,iosize=0x04 -kernel .build/evertree/kernel -initrd "$work/bundle" \
    -append "format interval=1ms" >"$work/output" || [ $? -eq 99 ]
grep '^{' "$work/output"
grep -q '"done":true' "$work/output" || { cat "$work/output" >&2; exit 1; }
