#!/usr/bin/env bash
# A long shell script (fork, pipes, here-documents, background jobs, traps, files, sort, awk, sed, find, tar, gzip,
# md5sum) through many power cuts: its output and exit status are those of Linux.
. "$(dirname "$0")/library.sh"
KILLS=${KILLS:-50}
ROUNDS=${ROUNDS:-15}
here=$(cd "$(dirname "$0")/../Linux" && pwd)
scratch
echo "script: $(wc -l <"$here/campaign.sh") lines, $ROUNDS rounds, $KILLS power cuts, seed $SEED"

# The environment that both sides get.
settings=(PATH=/bin:/usr/bin:/sbin:/usr/sbin HOME=/ "ROUNDS=$ROUNDS" "WORK=/tmp/evertree-campaign-$$")
(cd / && env -i "${settings[@]}" busybox sh "$here/campaign.sh" </dev/null >"$SCRATCH/expected" 2>/dev/null)
expected=$?

after_cut() {
    [ $(($1 % 10)) -ne 0 ] || echo "  after $1 cuts: $(wc -l <"$OUTPUT") lines printed, version $(version)"
}

options=(--nvm 512M --memory 256M --file "$here/campaign.sh:/campaign.sh")
for setting in "${settings[@]}"; do options+=(--env "$setting"); done
survive "${options[@]}" -- busybox sh /campaign.sh || fail "the script ended with $STATUS too early; set ROUNDS higher"
wait "$COMMAND"
status=$?
[ $status -eq $expected ] || fail "exit status $status, on Linux $expected"
cmp "$OUTPUT" "$SCRATCH/expected" || fail "the output differs from Linux's"
"$EVERTREE" store check "$STORE" 2>>"$MESSAGES" || fail "store check found something"
"$EVERTREE" stats "$STORE"
echo "script: $(wc -l <"$OUTPUT") lines equal to Linux through $KILLS power cuts, exit status $status"
