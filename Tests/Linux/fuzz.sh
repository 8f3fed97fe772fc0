#!/bin/bash
# Hostile calls and damaged executables against the hosted Linux server.
# Usage: fuzz.sh SERVER [CALLS [SEED]]     default: 200000 calls, seed 1
# Exit status 0: the server answered all of them and was sound at the end.
set -eu
server=${1:?usage: fuzz.sh SERVER [CALLS [SEED]]}
calls=${2:-200000}
seed=${3:-1}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
for name in calls elf; do
    gcc -O1 -w -static -o "$work/$name" "$here/fuzz/$name.c"
done
run() {
    echo "\$ $*"
    timeout 3000 "$server" -- "$@" < /dev/null || { echo "fuzz.sh: ended with $?; again: $0 $server $calls $seed"; exit 1; }
}
run "$work/elf" "$seed" $((calls / 200))
run "$work/calls" "$seed" "$calls"
