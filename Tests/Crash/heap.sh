#!/usr/bin/env bash
# A Swift program with a persistent heap inside the machine counts in transactions, checks its own list before each,
# and asks for a checkpoint after every hundredth. usage: heap.sh COUNTER
. "$(dirname "$0")/library.sh"
KILLS=${KILLS:-20}
counter=${1:?usage: heap.sh COUNTER}
scratch
echo "heap: $KILLS power cuts, seed $SEED"

# What a run on this host leaves that is long enough: its list is full.
OUTPUT=$SCRATCH/host
"$counter" "$SCRATCH/numbers.heap" >"$OUTPUT" 2>>"$MESSAGES" &
COMMAND=$!
await_output '^100$'
kill -TERM "$COMMAND"
wait "$COMMAND" || fail "the program fails on this host"
OUTPUT=$SCRATCH/output
expected=$(tail -n 1 "$SCRATCH/host" | sed 's/^[a-zA-Z]*/checkpointed/')

# No checkpoint comes by itself: what leaves the machine does so because the program asks every hundred numbers.
"$EVERTREE" run --store "$SCRATCH/asked.evertree" --cpus 1 --interval 1000s --memory 512M -- "$counter" /numbers.heap \
    </dev/null >"$SCRATCH/asked" 2>>"$MESSAGES" &
COMMAND=$!
: >>"$SCRATCH/asked"
until [ "$(wc -l <"$SCRATCH/asked")" -ge 299 ]; do
    kill -0 "$COMMAND" 2>/dev/null || fail "the program that asks for checkpoints ended by itself"
    sleep 0.1
done
"$EVERTREE" kill --power-loss "$SCRATCH/asked.evertree" 2>>"$MESSAGES"
wait "$COMMAND"
asked=$(wc -l <"$SCRATCH/asked")
[ $((asked % 100)) -eq 99 ] || fail "$asked numbers left the machine, not those before a checkpoint that was asked for"
seq "$asked" | cmp - "$SCRATCH/asked" || fail "the output without checkpoints of its own is not 1 to $asked"

survive --nvm 512M --memory 512M -- "$counter" /numbers.heap || fail "the program ended by itself with status $STATUS"
await_output "^$((KILLS + 1))\$"
end_program

objects=$(tail -n 1 "$OUTPUT")
last=$(tail -n 2 "$OUTPUT" | head -n 1)
check_number "$last"
[ "$last" -gt "$KILLS" ] || fail "only $last transactions through $KILLS power cuts"
(seq "$last"; echo "$objects") | cmp - "$OUTPUT" || fail "the output is not 1 to $last and one line more"
[ "$objects" = "$expected" ] || fail "the last line is '$objects', not '$expected'"
"$EVERTREE" store check "$STORE" 2>>"$MESSAGES" || fail "store check found something"
echo "heap: $asked numbers when the program asked; 1 to $last through $KILLS power cuts, each once; $objects"
