#!/usr/bin/env python3
"""Result lines (round, workload, variant, metric, count, nanoseconds) to JSON: medians and paired ratios."""
import collections
import json
import statistics
import sys

BASES = ("libpmemobj", "floor", "volatile")


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
            "unit": "per transaction" if metric.startswith("count.") else "ns per operation",
            "rounds": len(by_round),
        }
        for base in BASES:
            other = values.get((metric, base), {})
            pairs = [by_round[r] / other[r] for r in by_round if r in other]
            if pairs and base != variant:
                entry["ratio to " + base] = round(statistics.median(pairs), 3)
        report.append(entry)
    json.dump(report, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
