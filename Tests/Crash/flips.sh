#!/usr/bin/env bash
# Bits of a stopped store are flipped, one at a time: in the superblocks, the commit and history slots, the record
# tables, the stamps and the data. For each, `store check` must find it or the bit must be one that nothing reads
# (told apart by the output being right all the same); and `resume` must either print exactly what a whole store prints,
# or stop with a reason. No hang, no panic, no silent difference.
. "$(dirname "$0")/library.sh"
FLIPS=${FLIPS:-300}
KILLS=1
scratch
echo "flips: $FLIPS flipped bits, seed $SEED"

# A program in the middle of its work, which goes on until its input ends: not before the cut, and soon after each
# resume. Its output is 1 to a last number, and that one's sum. (A job in the background has no input of its own.)
program='exec 4<&0; trap "stop=1" TERM; (read -r _ <&4; kill -TERM $$) & i=0
while [ -z "$stop" ]; do i=$((i+1)); echo $i; done; echo sum $((i*(i+1)/2)); exit 7'
mkfifo "$SCRATCH/input"
exec 3<>"$SCRATCH/input"
"$EVERTREE" run --store "$STORE" --cpus "${CPUS:-2}" --nvm 64M --memory 128M -- busybox sh -c "$program" \
    <"$SCRATCH/input" >"$OUTPUT" 2>>"$MESSAGES" 3>&- &
COMMAND=$!
await_output '^100$'
nap 0 1000
cut_power "$COMMAND" || fail "the program ended too early"
wait "$COMMAND"
"$EVERTREE" store check "$STORE" 2>>"$MESSAGES" || fail "store check found something before any bit was flipped"
exec 3>&-
cp -r --sparse=always "$STORE" "$SCRATCH/whole"

# Whether $1 is what the program prints, whole.
is_right() {
    local last
    last=$(tail -n 2 "$1" | head -n 1)
    case $last in '' | *[!0-9]*) return 1 ;; esac
    (seq "$last"; echo "sum $((last * (last + 1) / 2))") | cmp -s - "$1"
}

# A random bit of an area. $1: name, sets BYTE and BIT. Areas are weighed towards the small ones that restore trusts.
pick() {
    local low high
    case $(($1 % 5)) in
        0) low=0 high=8192 ;;                  # superblocks
        1) low=8192 high=40960 ;;              # commit and history slots
        2) low=417792 high=425984 ;;           # roots of the record tables
        3) low=425984 high=704512 ;;           # undo list of links, frame stamps
        *) low=2801664 high=$((16 << 20)) ;;   # data frames
    esac
    BYTE=$((low + (RANDOM * 32768 + RANDOM) % (high - low)))
    BIT=$((RANDOM % 8))
}

# Flips one bit of the store's memory.
flip() {
    local value
    value=$(od -An -tu1 -j "$BYTE" -N 1 "$STORE/nvm.img")
    printf "\\x$(printf %02x $((value ^ (1 << BIT))))" \
        | dd of="$STORE/nvm.img" bs=1 seek="$BYTE" conv=notrunc status=none
}

found=0 refused=0 same=0
for n in $(seq "$FLIPS"); do
    rm -rf "$STORE"
    cp -r --sparse=always "$SCRATCH/whole" "$STORE"
    pick "$n"
    flip
    checked=clean
    "$EVERTREE" store check "$STORE" >"$SCRATCH/report" 2>&1 || checked=found
    cp "$OUTPUT" "$SCRATCH/printed"
    timeout 1800 "$EVERTREE" resume "$STORE" </dev/null >>"$SCRATCH/printed" 2>"$SCRATCH/reason"
    status=$?
    where="byte $BYTE bit $BIT (check: $checked, resume: $status)"
    case $status in
        7) is_right "$SCRATCH/printed" || grep -q 'older version' "$SCRATCH/reason" \
            || fail "silent difference after a flip at $where" ;;
        65 | 69) [ -s "$SCRATCH/reason" ] || fail "resume gave no reason after a flip at $where" ;;
        124) fail "resume hung after a flip at $where" ;;
        *) cat "$SCRATCH/reason" >&2; fail "resume ended with $status after a flip at $where" ;;
    esac
    [ $checked = clean ] || found=$((found + 1))
    if [ $status -eq 7 ]; then same=$((same + 1)); else refused=$((refused + 1)); fi
done
echo "flips: $FLIPS bits: store check found $found; resume gave the right output after $same, a reason after $refused"
