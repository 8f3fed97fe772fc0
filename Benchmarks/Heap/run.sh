#!/usr/bin/env bash
# Measures the heap beside libpmemobj, a hand-written C floor and volatile Swift, and the example server beside redis, all in
# one run, and prints JSON.
#   run.sh BINARIES [ROUNDS]      variants run one after the other in each round; ratios are taken round by round
# HEAP_BENCH_SHARED=1 counts the processes' own time in the parts structures and native: for a machine that others use too.
# HEAP_BENCH_PARTS="structures native open counts server" chooses parts; the sizes below are those of the go-pmem paper.
set -euo pipefail
here=$(dirname "$0") binaries=$1 rounds=${2:-3}
memory=${HEAP_BENCH_MEMORY:-/dev/shm}
file=$memory/heap-bench.$$
results=$(mktemp)
trap 'rm -f "$file" "$results"' EXIT
export PMEM_IS_PMEM_FORCE=1
parts=${HEAP_BENCH_PARTS:-structures native open counts server}
swaps=${HEAP_BENCH_SWAPS:-10000000}
operations=${HEAP_BENCH_OPERATIONS:-1000000}
depth=${HEAP_BENCH_DEPTH:-17}
cards=${HEAP_BENCH_CARDS:-9}
objects=${HEAP_BENCH_OBJECTS:-2000000}
quarters=${HEAP_BENCH_QUARTERS:-1 4 16 32}   # heap sizes for the time to open, in 256 MB
load_before=$(cut -d' ' -f1-3 /proc/loadavg)

measure() {  # round variant workload command...
    local round=$1 variant=$2 workload=$3
    shift 3
    "$@" | awk -v r="$round" -v v="$variant" -v w="$workload" -F'\t' 'NF == 3 { print r "\t" w "\t" v "\t" $0 }' >> "$results"
    rm -f "$file"
}

structures() {
    [ "${HEAP_BENCH_SHARED:-}" = "" ] || local -x HEAP_BENCH_CLOCK=cpu
    local round workload variant count
    for round in $(seq "$rounds"); do
        for workload in sps list chain tree fannkuch; do
            count=$operations
            case $workload in sps) count=$swaps ;; tree) count=$depth ;; fannkuch) count=$cards ;; esac
            case $workload in
            sps | list) measure "$round" floor $workload "$binaries/floor" $workload "$file" "$count" ;;
            esac
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
}

# The same class, objects made one by one in the heap and in volatile memory.
native() {
    [ "${HEAP_BENCH_SHARED:-}" = "" ] || local -x HEAP_BENCH_CLOCK=cpu
    local round
    for round in $(seq "$rounds"); do
        measure "$round" undo native "$binaries/heap-bench" native undo "$file" "$objects"
        measure "$round" volatile native "$binaries/heap-bench" native volatile "$file" "$objects"
    done
}

open() {
    local round quarter
    for round in $(seq "$rounds"); do
        for quarter in $quarters; do
            measure "$round" heap open "$binaries/heap-bench" open redo "$file" "$quarter"
        done
    done
}

# Instructions, fences and write-backs of one transaction, single-stepped: no clock in it.
counts() {
    local variant workload
    for variant in redo undo; do
        for workload in sps list; do
            "$binaries/count" 3000 "$binaries/heap-bench" $workload $variant "$file" 3000 | tr '\t' '\n' |
                awk -v v=$variant -v w=$workload '{ n = $NF; $NF = ""; sub(/ $/, "")
                    print "1\t" w "\t" v "\tcount." w "." $0 "\t1\t" n }' >> "$results"
            rm -f "$file"
        done
    done
}

server() { "$here/server.py" "$binaries/kv-server" "$binaries/ycsb" "$rounds" "${HEAP_BENCH_SERVER_SCALE:-1}" >> "$results"; }

for part in $parts; do "$part"; done
"$here/summarize.py" "$results" "$load_before"
