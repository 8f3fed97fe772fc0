#!/usr/bin/env bash
# The demo: a word count over the GNU GPL, as unmodified busybox programs in a pipeline, runs in
# Evertree while the power of its machine is cut at random moments. Then the same pipeline runs on
# this host, and the outputs are compared.
#
# The pipeline goes on until it is told to end, after the last cut: no host is too fast or too slow.
#
# KILLS and SEED can be set in the environment.
. "$(dirname "$0")/../Tests/Crash/library.sh"
KILLS=${KILLS:-10}
# A machine with as many processors as its host waits for each other's turn when the host is busy.
[ "$(nproc)" -gt 2 ] || CPUS=${CPUS:-1}
text=/usr/share/common-licenses/GPL-3
scratch

body="n=\$((n+1)); echo \"round \$n\"; \
tr -cs A-Za-z '\\n' <$text | tr A-Z a-z | sort | uniq -c | sort -rn | head -n 10"
pipeline="trap 'stop=1' TERM; n=0; while [ -z \"\$stop\" ]; do $body; done"

echo "Counting words of $text until told to stop, in $STORE"
echo "    busybox sh -c '$pipeline'"
echo "and cutting the power (SIGKILL to the virtual machine) $KILLS times, seed $SEED."

after_cut() {
    local printed
    printed=$(grep -c '^round' "$OUTPUT")
    echo "  power cut $1: version $(version) committed, round $printed was being printed; resuming"
}

survive --nvm 512M --memory 256M --file "$text" -- busybox sh -c "$pipeline" \
    || fail "the pipeline ended by itself with $STATUS"
end_program

rounds=$(grep -c '^round' "$OUTPUT")
[ "$rounds" -gt 0 ] || fail "nothing was printed"
busybox sh -c "n=0; while [ \$n -lt $rounds ]; do $body; done" >"$SCRATCH/expected"
cmp "$OUTPUT" "$SCRATCH/expected" || fail "the output differs from the same pipeline on this host"
echo
tail -n 10 "$OUTPUT"
echo
"$EVERTREE" stats "$STORE"
"$EVERTREE" store check "$STORE" 2>>"$MESSAGES" || fail "store check found something"
echo
echo "$KILLS power cuts, $(wc -c <"$OUTPUT") bytes printed: equal, byte for byte, to the same pipeline on this host."
