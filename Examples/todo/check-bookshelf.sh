#!/usr/bin/env bash
# Runs the bookshelf several times, on a file that its first version made.
set -euo pipefail
shelf=$1
old=$2
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
file="$folder/books.heap"
"$old" "$file" "Emma" 1815 "Jane Austen"
"$old" "$file" "Ulysses" 1922 "James Joyce"
"$old" "$file" "Persuasion" 1817 "Jane Austen"

expect() {
    local expected=$1
    shift
    local found
    found=$("$shelf" "$file" "$@")
    if [ "$found" != "$expected" ]; then
        printf '%s\nexpected:\n%s\nfound:\n%s\n' "$*" "$expected" "$found" >&2
        exit 1
    fi
}

expect '1815 Emma, Jane Austen
1817 Persuasion, Jane Austen
1922 Ulysses, James Joyce' all
expect '' add "Dubliners" 1914 "James Joyce"
expect 'Emma is there already' add "Emma" 1815 "Jane Austen"
expect '' lend "Emma" Ada
expect 'Ada has Emma' lend "Emma" Bea
expect '1815 Emma, Jane Austen, lent to Ada' lent
expect '1817 Persuasion, Jane Austen
1914 Dubliners, James Joyce' between 1816 1920
expect '1914 Dubliners, James Joyce
1922 Ulysses, James Joyce' by "James Joyce"
expect '1914 Dubliners, James Joyce' titled Du
expect '' backup "$folder/copy.heap"
expect '' remove "Ulysses"
expect '' remove "Dubliners"
expect 'there is no Ulysses' remove "Ulysses"
expect 'Jane Austen: 2' authors
file="$folder/copy.heap"
expect 'James Joyce: 2
Jane Austen: 2' authors
echo "bookshelf: ok"
