#!/bin/bash
# Checks the checkpoint model exhaustively with Spin, then that each broken variant fails. See README.md.
# Usage: check.sh [--all | --model | --variants] [BUILD_DIRECTORY]
# Environment: CC (a C compiler), MODEL_MEGABYTES (memory limit of one search, default 6000).
set -u
here=$(cd "$(dirname "$0")" && pwd)
part=--all
case "${1:-}" in --all | --model | --variants) part=$1; shift ;; esac
build=${1:-$here/../../.build/model}
CC=${CC:-$(command -v clang || command -v gcc || command -v cc)}
megabytes=${MODEL_MEGABYTES:-6000}
failed=0

command -v spin >/dev/null || { echo "model: spin is not installed (Debian package: spin)" >&2; exit 2; }
[ -n "$CC" ] || { echo "model: no C compiler: install clang or gcc, or set CC" >&2; exit 2; }

# search NAME OPTIMISATION DEFINES...: builds the verifier and runs it; its report is in $build/NAME/report.
search() {
    local name=$1 optimisation=$2
    shift 2
    local directory=$build/$name
    rm -rf "$directory" && mkdir -p "$directory" && cd "$directory" || exit 2
    spin -a "$@" "$here/evertree.pml" >spin.log 2>&1 ||
        { echo "model: spin refused $name:" >&2; tail -3 spin.log >&2; exit 2; }
    $CC -w "$optimisation" -DSAFETY -DCOLLAPSE -DMEMLIM="$megabytes" -o pan pan.c 2>cc.log ||
        { echo "model: the verifier of $name does not compile:" >&2; tail -3 cc.log >&2; exit 2; }
    ./pan -m1000000 -w22 >report 2>&1
}

# number PATTERN: the first number in the report's first match of PATTERN, as an integer.
number() {
    grep -m1 -oE "$1" report | grep -m1 -oE '[0-9][0-9.]*(e\+[0-9]+)?' | awk '{ printf "%d", $1 }'
}

# Every state within the bounds, no error.
prove() {
    local name=$1
    shift
    search "$name" -Og "$@"
    local verdict=ok
    if grep -qE 'too small|out of memory|not completed|aborting' report; then verdict="NOT EXHAUSTIVE"; fi
    if ! grep -q 'errors: 0' report; then verdict="FAILED: $(grep -m1 'pan:1:' report)"; fi
    [ "$verdict" = ok ] || failed=1
    printf '%-10s %10d states %11d transitions  depth %5d  %s\n' "$name" \
        "$(number '[0-9.e+]+ states, stored')" "$(number '[0-9.e+]+ transitions')" \
        "$(number 'depth reached [0-9]+')" "$verdict"
    [ "$verdict" = ok ] || echo "    trace: spin -p -k $build/$name/evertree.pml.trail $* $here/evertree.pml"
}

# A broken variant must violate an assertion.
refute() {
    local name=$1
    shift
    search "$name" -O0 -D"$name" "$@"
    if grep -q 'pan:1: assertion violated' report; then
        printf '%-28s caught after %8d states\n' "$name" "$(number '[0-9.e+]+ states, stored')"
    else
        printf '%-28s NOT CAUGHT\n' "$name"
        failed=1
    fi
}

. "$here/configurations.sh"
[ "$part" = --variants ] || configurations
[ "$part" = --model ] || variants
if [ $failed = 0 ]; then echo "model: ok"; else echo "model: FAILED" >&2; fi
exit $failed
