#!/usr/bin/env bash
# Measures the heap beside libpmemobj, a hand-written C floor and volatile Swift, all in one run, and prints JSON.
#   run.sh BINARIES [ROUNDS]      variants run one after the other in each round; ratios are taken round by round
set -euo pipefail
binaries=$1 rounds=${2:-3}
memory=${HEAP_BENCH_MEMORY:-/dev/shm}
file=$memory/heap-bench.$$
results=$(mktemp)
trap 'rm -f "$file" "$results"' EXIT
export PMEM_IS_PMEM_FORCE=1
operations=${HEAP_BENCH_OPERATIONS:-1000000}
depth=${HEAP_BENCH_DEPTH:-14}

measure() {  # round variant workload command...
    local round=$1 variant=$2 workload=$3
    shift 3
    "$@" | awk -v r="$round" -v v="$variant" -v w="$workload" -F'\t' 'NF == 3 { print r "\t" w "\t" v "\t" $0 }' >> "$results"
    rm -f "$file"
}

for round in $(seq "$rounds"); do
    for workload in sps list chain tree; do
        count=$operations
        [ $workload = tree ] && count=$depth
        [ $workload = sps ] || [ $workload = list ] && measure "$round" floor $workload "$binaries/floor" $workload "$file" "$count"
        for variant in redo undo redo-noflush volatile; do
            measure "$round" $variant $workload "$binaries/heap-bench" $workload $variant "$file" "$count"
        done
        measure "$round" libpmemobj $workload "$binaries/pmdk" $workload "$file" "$count"
    done
    for variant in redo undo; do
        measure "$round" $variant map "$binaries/heap-bench" map $variant "$file" "$operations"
    done
    for variant in redo volatile; do
        measure "$round" $variant chase "$binaries/heap-bench" chase $variant "$file" 20000000
    done
done
for quarters in 1 4 16 32; do
    measure 1 heap open "$binaries/heap-bench" open redo "$file" $quarters
done
for variant in redo undo; do
    for workload in sps list; do
        "$binaries/count" 3000 "$binaries/heap-bench" $workload $variant "$file" 3000 |
            tr '\t' '\n' | awk -v v=$variant -v w=$workload '{ n = $NF; $NF = ""; sub(/ $/, ""); print "1\t" w "\t" v "\tcount." w "." $0 "\t1\t" n }' >> "$results"
        rm -f "$file"
    done
done
"$(dirname "$0")/summarize.py" "$results"
