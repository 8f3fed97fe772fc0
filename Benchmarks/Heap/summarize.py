#!/usr/bin/env python3
"""Result lines (round, workload, variant, metric, count, nanoseconds) to JSON: medians, spread and paired ratios.

summarize.py RESULTS [LOAD-BEFORE]
"""
import collections
import json
import os
import platform
import statistics
import sys

# Targets of the counts and of the native tier: metric, variant, which figure, at most.
TARGETS = (
    ("count.sps.instructions", "redo", "median", 300),
    ("count.sps.instructions", "undo", "median", 300),
    ("count.sps.fences", "redo", "median", 3),
    ("count.sps.fences", "undo", "median", 3),
    ("native.walk", "undo", "ratio to volatile", 1.1),
    ("native.random-walk", "undo", "ratio to volatile", 1.1),
    ("native.move", "undo", "median", 15),
)

BASES = ("libpmemobj", "floor", "volatile", "redis-none", "redis-aof-always", "redis-aof-always-slow")


def unit(metric):
    if metric.startswith("count."):
        return "per transaction"
    return "ns" if metric.endswith((".p50", ".p99")) or metric.startswith("open.") else "ns per operation"


def check(report):
    """The targets of those figures that this run measured."""
    for metric, variant, figure, limit in TARGETS:
        for entry in report:
            if (entry["metric"], entry["variant"]) == (metric, variant) and figure in entry:
                found = entry[figure]
                yield {"metric": metric, "variant": variant, figure: found, "at most": limit, "met": found <= limit}


def main():
    values = collections.defaultdict(dict)
    for line in open(sys.argv[1]):
        rounds, _, variant, metric, count, total = line.rstrip("\n").split("\t")
        # A chain of nodes is what the volatile map is.
        metric = metric.replace("map.", "chain.") if variant == "volatile" else metric
        values[metric, variant][rounds] = float(total) / float(count)
    report = []
    for (metric, variant), by_round in sorted(values.items()):
        entry = {
            "metric": metric,
            "variant": variant,
            "median": round(statistics.median(by_round.values()), 1),
            "minimum": round(min(by_round.values()), 1),
            "maximum": round(max(by_round.values()), 1),
            "unit": unit(metric),
            "rounds": len(by_round),
        }
        for base in BASES:
            other = values.get((metric, base), {})
            pairs = [by_round[r] / other[r] for r in by_round if r in other]
            if pairs and base != variant:
                entry["ratio to " + base] = round(statistics.median(pairs), 3)
        report.append(entry)
    processor = [l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")]
    machine = {
        "processor": processor[0] if processor else platform.processor(),
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "load before": sys.argv[2] if len(sys.argv) > 2 else "",
        "load after": " ".join(f"{load:.2f}" for load in os.getloadavg()),
    }
    json.dump({"machine": machine, "targets": list(check(report)), "results": report}, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
