#!/usr/bin/env python3
"""Measures the example server beside redis, with the same load generators, in one run.

server.py SERVER YCSB [ROUNDS [SECONDS-SCALE]]

Prints lines "round TAB workload TAB variant TAB metric TAB count TAB nanoseconds", as the other benchmarks do. Variants:

  ours-cache-line   heap on memory (tmpfs), CLWB and fences: what DAX memory would cost
  ours-process      heap on memory, no write-back: survives the process, not the host
  ours-file         heap on disk, msync
  redis-none        no persistence
  redis-aof-always  append-only file on disk, fsync before each reply
  redis-aof-memory  the same on memory
  ours-file-slow, redis-aof-always-slow
                    the same with 5 ms more for each flush (HEAP_BENCH_FLUSH_US): a disk without a protected cache.
                    slowdisk.so lies beside YCSB

On a machine that others use too, `chrt -f 5 server.py …` keeps their work from being measured: all that is started here
then has real-time priority.

HEAP_BENCH_MEMORY names the memory folder (/dev/shm), HEAP_BENCH_DISK the disk folder.
"""
import os
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../Examples/kv-server"))
from resp import start_ours, start_redis

MEMORY = os.environ.get("HEAP_BENCH_MEMORY", "/dev/shm")
DISK = os.environ.get("HEAP_BENCH_DISK") or tempfile.gettempdir()
AOF = ("--appendonly", "yes", "--appendfsync", "always")
VARIANTS = {
    "ours-cache-line": (MEMORY, "cache-line"), "redis-none": (MEMORY, ()), "ours-process": (MEMORY, "process"),
    "redis-aof-always": (DISK, AOF), "ours-file": (DISK, "file"), "redis-aof-memory": (MEMORY, AOF),
    "redis-aof-always-slow": (DISK, AOF), "ours-file-slow": (DISK, "file"),
}
RECORDS = 100000
# What waits for a disk gets fewer operations.
ON_DISK = 0.05


def redis_benchmark(port, connections, pipeline, operations):
    command = ["redis-benchmark", "-p", str(port), "-c", str(connections), "-P", str(pipeline), "-n", str(operations)]
    command += ["-t", "set,get", "-r", str(RECORDS), "-d", "16", "--csv"]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    name = f"c{connections}.P{pipeline}"
    for line in output.splitlines()[1:]:
        # "test","rps","avg_latency_ms","min","p50","p95","p99","max"
        test, rate, _, _, p50, _, p99, _ = [word.strip('"') for word in line.split(",")]
        yield f"server.{test.lower()}.{name}", operations, operations / float(rate) * 1e9
        yield f"server.{test.lower()}.{name}.p50", 1, float(p50) * 1e6
        yield f"server.{test.lower()}.{name}.p99", 1, float(p99) * 1e6


def ycsb(binary, port, operations, pipeline):
    records = str(min(RECORDS, operations))
    subprocess.run([binary, str(port), "load", records], check=True)
    for mix in "abc":
        command = [binary, str(port), mix, records, str(operations), "50", str(pipeline)]
        for line in subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines():
            metric, count, total = line.split("\t")
            yield metric, int(count), float(total)


def slow_disk(load):
    library = os.path.join(os.path.dirname(os.path.abspath(load)), "slowdisk.so")
    return dict(os.environ, LD_PRELOAD=library, SLOW_DISK_US=os.environ.get("HEAP_BENCH_FLUSH_US", "5000"))


def measure(binary, load, variant, scale):
    folder, how = VARIANTS[variant]
    scale *= ON_DISK if folder == DISK else 1
    environment = slow_disk(load) if variant.endswith("-slow") else None
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        if variant.startswith("ours"):
            server = start_ours(binary, os.path.join(scratch, "server.heap"), how, environment)
        else:
            server = start_redis(scratch, *how, environment=environment)
        try:
            list(redis_benchmark(server.port, 50, 16, int(200000 * scale)))
            yield from redis_benchmark(server.port, 50, 16, int(400000 * scale))
            yield from redis_benchmark(server.port, 50, 1, int(80000 * scale))
            yield from redis_benchmark(server.port, 1, 1, int(8000 * scale))
            yield from ycsb(load, server.port, int(200000 * scale), 16)
        finally:
            server.kill()


def main():
    binary, load = sys.argv[1:3]
    rounds = int(sys.argv[3]) if len(sys.argv) > 3 else 3
    scale = float(sys.argv[4]) if len(sys.argv) > 4 else 1
    for number in range(1, rounds + 1):
        for variant in VARIANTS:
            for metric, count, total in measure(binary, load, variant, scale):
                print(f"{number}\tserver\t{variant}\t{metric}\t{count}\t{total:.0f}", flush=True)


if __name__ == "__main__":
    main()
