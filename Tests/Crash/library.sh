# Functions that the crash campaigns share. Source it; it needs bash.
set -u

EVERTREE=${EVERTREE:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)/.build/release/evertree}
SEED=${SEED:-$((($(date +%s%N) / 1000) % 32768))}
RANDOM=$SEED

# One line that ends the campaign.
fail() {
    echo "FAILED: $*" >&2
    echo "Repeat with SEED=$SEED KILLS=${KILLS:-} $0; the store is ${STORE:-none}, the messages in ${MESSAGES:-none}" >&2
    exit 1
}

# Makes a scratch directory, removed at the end unless the campaign failed.
scratch() {
    SCRATCH=$(mktemp -d)
    STORE=$SCRATCH/campaign.evertree
    OUTPUT=$SCRATCH/output
    MESSAGES=$SCRATCH/messages
    trap 'status=$?; end_machine; [ $status -ne 0 ] || rm -rf "$SCRATCH"' EXIT
    trap 'exit 130' INT TERM
    : >"$OUTPUT"
    : >"$MESSAGES"
}

# Ends what a campaign may have left running.
end_machine() {
    [ -d "$STORE" ] || return 0
    "$EVERTREE" kill --power-loss "$STORE" >/dev/null 2>&1 && return 0
    # The command may be about to start it.
    [ -z "${COMMAND:-}" ] || cut_power "$COMMAND" || true
}

# Sleeps a random time: $1 to $2 milliseconds.
nap() {
    local milliseconds=$(($1 + RANDOM % ($2 - $1 + 1)))
    sleep "$((milliseconds / 1000)).$(printf %03d $((milliseconds % 1000)))"
}

# Cuts the power of the store's machine as soon as there is one. Fails if the command $1 ends first.
cut_power() {
    until "$EVERTREE" kill --power-loss "$STORE" 2>/dev/null; do
        kill -0 "$1" 2>/dev/null || return 1
        sleep 0.02
    done
}

# The committed version, from the statistics.
version() {
    "$EVERTREE" stats --json "$STORE" 2>/dev/null | sed -n 's/^ *"version" : \([0-9]*\).*/\1/p'
}

# Sleeps until the moment of the next cut. One in four comes at any time, perhaps while the machine
# boots or restores; the others after the machine has committed something of its own, however long
# that takes, so that a campaign goes on with each of them on a slow host too.
wait_for_moment() {
    local before=$1
    if [ $((RANDOM % 4)) -ne 0 ]; then
        while [ "$(version)" = "$before" ] && kill -0 "$COMMAND" 2>/dev/null; do
            sleep 0.05
        done
    fi
    nap "${SHORTEST:-50}" "${LONGEST:-1500}"
}

# Runs `evertree run $@` through $KILLS power cuts at random moments; standard output of all of them
# together goes to $OUTPUT. When the last cut is done, a last resume is running as $COMMAND.
# After each cut, the function `after_cut` is called, if there is one.
survive() {
    "$EVERTREE" run --store "$STORE" --cpus "${CPUS:-2}" --domain "${DOMAIN:-coherent-cache}" \
        ${KERNEL_WORD:+--kernel-argument "$KERNEL_WORD"} "$@" </dev/null >>"$OUTPUT" 2>>"$MESSAGES" &
    COMMAND=$!
    CUTS=0
    local before=
    while [ "$CUTS" -lt "$KILLS" ]; do
        wait_for_moment "$before"
        if cut_power "$COMMAND"; then CUTS=$((CUTS + 1)); fi
        wait "$COMMAND"
        local status=$?
        if [ $status -ne 75 ]; then
            [ "$CUTS" -ge "$KILLS" ] || echo "the program ended with $status after $CUTS of $KILLS power cuts" >&2
            STATUS=$status
            return 1
        fi
        before=$(version)
        if declare -F after_cut >/dev/null; then after_cut "$CUTS"; fi
        "$EVERTREE" resume ${KERNEL_WORD:+--kernel-argument "$KERNEL_WORD"} "$STORE" </dev/null >>"$OUTPUT" 2>>"$MESSAGES" &
        COMMAND=$!
    done
    return 0
}

# Waits until a line of $OUTPUT matches $1: however slow the host is, as long as the command goes on.
await_output() {
    until grep -q "$1" "$OUTPUT"; do
        kill -0 "$COMMAND" 2>/dev/null || fail "the program ended before it printed '$1'"
        sleep 0.1
    done
}

# Asks the program that runs as $COMMAND to end, after the last cut and after it printed something, at the soonest: it
# has set its trap then. The last machine may still be starting: only the command's own end is an end. The status must
# be $1 (0 if not given; `any` leaves it to the caller, in $STATUS).
end_program() {
    await_output .
    nap 0 1500
    until "$EVERTREE" stop --timeout 600 "$STORE" 2>>"$MESSAGES"; do
        kill -0 "$COMMAND" 2>/dev/null || break
        sleep 0.1
    done
    wait "$COMMAND"
    STATUS=$?
    [ "${1:-0}" = any ] || [ $STATUS -eq "${1:-0}" ] || fail "the program ended with status $STATUS"
}

# Fails unless $1 is a number.
check_number() {
    case $1 in '' | *[!0-9]*) fail "the last number is none: '$1'" ;; esac
}
