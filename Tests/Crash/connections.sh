#!/usr/bin/env bash
# Clients count over TCP and UNIX connections with a server in the same machine. Through many power cuts no connection
# breaks, and no byte is lost, repeated or changed.
. "$(dirname "$0")/library.sh"
KILLS=${KILLS:-50}
scratch
echo "connections: $KILLS power cuts, seed $SEED"
gcc -O1 -w -static -o "$SCRATCH/connections" "$(dirname "$0")/programs/connections.c" || fail "no program"

after_cut() {
    [ $(($1 % 10)) -ne 0 ] || echo "  after $1 cuts: $(wc -l <"$OUTPUT") rounds, version $(version)"
}

survive --nvm 256M --memory 256M -- "$SCRATCH/connections" || fail "it ended by itself with $STATUS: $(tail -n 1 "$OUTPUT")"
end_program 0

last=$(tail -n 1 "$OUTPUT")
check_number "$last"
seq "$last" | cmp - "$OUTPUT" || fail "the output is not 1 to $last"
"$EVERTREE" store check "$STORE" 2>>"$MESSAGES" || fail "store check found something"
echo "connections: $last rounds of 12 clients through $KILLS power cuts: no byte lost, repeated or changed"
