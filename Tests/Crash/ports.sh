#!/usr/bin/env bash
# Clients outside of the machine, through published ports and many power cuts: no connection breaks, no byte is lost,
# repeated or changed, no answer is taken back; clients that never read or vanish hold up nobody.
. "$(dirname "$0")/library.sh"
KILLS=${KILLS:-50}
scratch
echo "ports: $KILLS power cuts, seed $SEED"
gcc -O1 -w -static -o "$SCRATCH/server" "$(dirname "$0")/programs/server.c" || fail "no program"
python3 "$(dirname "$0")/ports.py" "$EVERTREE" "$STORE" "$SCRATCH/server" "$KILLS" "$SEED" "${CPUS:-2}" || fail "see above"
"$EVERTREE" store check "$STORE" 2>>"$MESSAGES" || fail "store check found something"
