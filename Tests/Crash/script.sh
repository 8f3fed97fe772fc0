#!/usr/bin/env bash
# A long shell script (fork, pipes, here-documents, background jobs, traps, files, sort, awk, sed, find, tar, gzip,
# md5sum) through many power cuts: its output and exit status are those of Linux. Its rounds go on until it is told to end.
. "$(dirname "$0")/library.sh"
KILLS=${KILLS:-50}
here=$(cd "$(dirname "$0")/../Linux" && pwd)
scratch
echo "script: $(wc -l <"$here/campaign.sh") lines, $KILLS power cuts, seed $SEED"

# A shell above the script takes the signal, so that no `read` or `wait` of the script sees it, and leaves a file.
program='trap ": >\"$WORK.stop\"" TERM; sh "$SCRIPT" & wait $!; status=$?
[ -e "$WORK.stop" ] && { wait $!; status=$?; rm -f "$WORK.stop"; }; exit $status'
# The environment that both sides get, but for the number of rounds and the script's place.
settings=(PATH=/bin:/usr/bin:/sbin:/usr/sbin HOME=/ "WORK=/tmp/evertree-campaign-$$")

after_cut() {
    [ $(($1 % 10)) -ne 0 ] || echo "  after $1 cuts: $(wc -l <"$OUTPUT") lines printed, version $(version)"
}

options=(--nvm 512M --memory 256M --file "$here/campaign.sh:/campaign.sh")
for setting in "${settings[@]}" ROUNDS=1000000000 SCRIPT=/campaign.sh; do options+=(--env "$setting"); done
survive "${options[@]}" -- busybox sh -c "$program" || fail "the script ended by itself with $STATUS"
await_output 'files, round'
end_program any

# The same number of rounds here, once it is known, must end with the same status.
rounds=$(grep -c 'files, round' "$OUTPUT")
(cd / && env -i "${settings[@]}" "ROUNDS=$rounds" "SCRIPT=$here/campaign.sh" busybox sh -c "$program" \
    </dev/null >"$SCRATCH/expected" 2>/dev/null)
expected=$?
[ $STATUS -eq $expected ] || fail "exit status $STATUS, on Linux $expected"
cmp "$OUTPUT" "$SCRATCH/expected" || fail "the output differs from Linux's"
"$EVERTREE" store check "$STORE" 2>>"$MESSAGES" || fail "store check found something"
"$EVERTREE" stats "$STORE"
echo "script: $(wc -l <"$OUTPUT") lines ($rounds rounds) equal to Linux through $KILLS power cuts, exit status $STATUS"
