#!/usr/bin/env bash
# A loop prints each number. Through many power cuts no number is missing, none is repeated, the
# order is kept.
. "$(dirname "$0")/library.sh"
KILLS=${KILLS:-100}
scratch
echo "counting: $KILLS power cuts, seed $SEED"

# Each line that was printed before a cut must still be the beginning of what is printed after it;
# and each incarnation must commit something now and then, or nothing is shown.
after_cut() {
    local lines
    lines=$(wc -l <"$OUTPUT")
    [ "$1" -eq 0 ] || [ $(($1 % 10)) -ne 0 ] || echo "  after $1 cuts: $lines numbers printed, version $(version)"
}

program='trap "exit 0" TERM; i=0; while :; do i=$((i+1)); echo $i; done'
survive --nvm 256M --memory 256M -- busybox sh -c "$program" || fail "the loop ended by itself with status $STATUS"

await_output "^$((KILLS + 1))\$"
end_program "${EXPECTED_STATUS:-0}"

last=$(tail -n 1 "$OUTPUT")
check_number "$last"
[ "$last" -gt "$KILLS" ] || fail "only $last numbers were printed through $KILLS power cuts"
seq "$last" | cmp - "$OUTPUT" || fail "the output is not 1 to $last"
"$EVERTREE" store check "$STORE" 2>>"$MESSAGES" || fail "store check found something"
echo "counting: 1 to $last printed through $KILLS power cuts: none missing, none repeated"
