#!/usr/bin/env bash
# Many checkpoints in one run, by a program that forks, writes files, removes them and prints: the number of used frames
# stays where it was. Compared is the least of 20 samples after a warm-up with the least of 20 at the end, some checkpoints
# apart from one another.
. "$(dirname "$0")/library.sh"
CHECKPOINTS=${CHECKPOINTS:-100000}
WARM_UP=${WARM_UP:-2000}
KILLS=0
scratch
echo "steady: $CHECKPOINTS checkpoints after $WARM_UP"

program='trap "exit 0" TERM; i=0; while :; do i=$((i+1)); (echo $i | md5sum >/tmp/sum); cat /tmp/sum; rm /tmp/sum
n=0; while [ $n -lt 200 ]; do n=$((n+1)); echo $n >>/tmp/numbers; done; rm /tmp/numbers; done'
"$EVERTREE" run --store "$STORE" --cpus "${CPUS:-2}" --nvm 256M --memory 256M -- busybox sh -c "$program" \
    </dev/null >"$OUTPUT" 2>>"$MESSAGES" &
COMMAND=$!

# A figure of the statistics: $1, its name.
figure() { "$EVERTREE" stats --json "$STORE" 2>/dev/null | sed -n "s/^ *\"$1\" : \([0-9]*\).*/\1/p" | head -n 1; }

# Waits until checkpoint $1 is taken.
reach() {
    local taken
    while taken=$(figure checkpoints); [ "${taken:-0}" -lt "$1" ]; do
        kill -0 "$COMMAND" 2>/dev/null || fail "the program ended at checkpoint ${taken:-0}"
        sleep 0.1
    done
}

least() {
    local sample smallest= n
    for n in $(seq 20); do
        reach $(($2 + n * 20))
        sample=$(figure "$1")
        [ -n "$sample" ] || fail "the statistics have no $1"
        if [ -z "$smallest" ] || [ "$sample" -lt "$smallest" ]; then smallest=$sample; fi
    done
    echo "$smallest"
}

before=$(least framesUsed "$WARM_UP") || exit 1
after=$(least framesUsed $((WARM_UP + CHECKPOINTS))) || exit 1
end_program
"$EVERTREE" stats "$STORE"
"$EVERTREE" store check "$STORE" 2>>"$MESSAGES" || fail "store check found something"
[ "$after" -le $((before + 32)) ] || fail "$before frames were used after $WARM_UP checkpoints, $after at the end"
echo "steady: $before frames in use before, $after after $CHECKPOINTS checkpoints"
