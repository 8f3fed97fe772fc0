#!/usr/bin/env bash
# Runs the example several times, as a user would: each run finds what the runs before it left.
set -euo pipefail
todo=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$todo" "$folder/list.heap" add write the example
"$todo" "$folder/list.heap" add run it in the tests, with a text that needs a cell of its own
"$todo" "$folder/list.heap" done 1
expected='1. [x] write the example
2. [ ] run it in the tests, with a text that needs a cell of its own'
found=$("$todo" "$folder/list.heap" list)
if [ "$found" != "$expected" ]; then
    printf 'expected:\n%s\nfound:\n%s\n' "$expected" "$found" >&2
    exit 1
fi
echo "example: ok"
