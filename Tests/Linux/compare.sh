#!/bin/bash
# Runs each script and program of this directory on Linux and under the hosted Linux server, and compares what they
# print on standard output and error, and their exit status.
# Usage: compare.sh SERVER [NAME…]      SERVER: path of linux-server-hosted; NAME: only these files
# Exit status: 0 all equal, 1 something differs.
set -u
server=${1:?usage: compare.sh SERVER [NAME...]}
shift
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
limit=${COMPARE_TIMEOUT:-120}
failed=0

# Same path on both sides, because shells print it in messages.
run_pair() { # NAME FILE PROGRAM ARGS...
    local name=$1 file=$2
    shift 2
    # Descriptors that this shell's own parents left open would show in the program's numbers.
    (for fd in {3..30}; do eval "exec $fd>&-"; done
        cd / && env -i PATH=/bin:/usr/bin:/sbin:/usr/sbin HOME=/ timeout "$limit" "$@" \
        < "$here/input.txt" > "$work/linux.out" 2> "$work/linux.err") 2>/dev/null
    echo "status $?" >> "$work/linux.out"
    timeout "$limit" "$server" --file "$file" --env PATH=/bin:/usr/bin:/sbin:/usr/sbin --env HOME=/ -- "$@" \
        < "$here/input.txt" > "$work/ours.out" 2> "$work/ours.err"
    echo "status $?" >> "$work/ours.out"
    # "timeout" and shells report what they like; a file says so when its errors may differ.
    if grep -q '^#.*Standard error is not compared' "$file" 2>/dev/null; then : | tee "$work/linux.err" > "$work/ours.err"; fi
    if cmp -s "$work/linux.out" "$work/ours.out" && cmp -s "$work/linux.err" "$work/ours.err"; then
        echo "equal    $name ($(wc -l < "$work/linux.out") lines)"
    else
        failed=1
        echo "DIFFERS  $name"
        diff "$work/linux.out" "$work/ours.out" | head -n 20
        diff "$work/linux.err" "$work/ours.err" | head -n 20
        echo "again: $0 $server $name"
    fi
}

wanted() { [ $# -eq 1 ] || [[ " ${*:2} " == *" $1 "* ]]; }

for script in "$here"/*.sh; do
    name=$(basename "$script")
    [ "$name" = compare.sh ] || [ "$name" = fuzz.sh ] && continue
    wanted "$name" "$@" || continue
    cp "$script" "$work/$name"
    run_pair "$name" "$work/$name" /bin/busybox sh "$work/$name"
done
for source in "$here"/programs/*.c; do
    name=$(basename "$source")
    wanted "$name" "$@" || continue
    gcc -O1 -w -static -pthread -o "$work/program" "$source" || exit 1
    run_pair "$name" "$work/program" "$work/program"
done
exit $failed
