#!/usr/bin/env bash
# Hostile calls against the Linux server in the guest, kernel and checkpoints included; then the store is checked.
# Usage: fuzz-guest.sh EVERTREE [CALLS [SEED]]     default: 1000000 calls, seed 1
set -euo pipefail
evertree=${1:?usage: fuzz-guest.sh EVERTREE [CALLS [SEED]]}
calls=${2:-1000000}
seed=${3:-1}
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
store=$work/fuzz.evertree
trap 'status=$?; [ $status -eq 0 ] && rm -rf "$work" || echo "fuzz-guest.sh: ended with $status; again: $0 $*; the store is $store" >&2' EXIT
for name in calls elf; do
    gcc -O1 -w -static -o "$work/$name" "$here/fuzz/$name.c"
done
"$evertree" run --store "$store" --cpus "${CPUS:-2}" --file "$work/elf" -- "$work/calls" "$seed" "$calls" </dev/null
"$evertree" store check "$store"
rm -rf "$store"
"$evertree" run --store "$store" --cpus "${CPUS:-2}" -- "$work/elf" "$seed" $((calls / 1000)) </dev/null
"$evertree" store check "$store"
