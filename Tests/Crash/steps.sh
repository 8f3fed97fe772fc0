#!/usr/bin/env bash
# Power cuts at chosen instants: QEMU's gdb stub stops the machine at a persist step of the kernel (a store fence of the store or of
# the checkpoint), at its N-th execution or some instructions behind it, and the power goes there. After each cut `store check`
# must find nothing; in the end the counting loop must have printed each number once.
# DOMAIN=coherent-cache: every store that was executed is durable, so nothing may be taken away from the file between the cut and
# the resume. DOMAIN=cache-line-flush: words stored since the last fence may be as they were, and some of them are put
# back so. Without DOMAIN both are tried, one after the other.
if [ -z "${DOMAIN:-}" ]; then
    DOMAIN=coherent-cache "$0" && DOMAIN=cache-line-flush CPUS=1 exec "$0"
    exit 1
fi
. "$(dirname "$0")/library.sh"
KILLS=${KILLS:-25}
here=$(cd "$(dirname "$0")" && pwd)
KERNEL=${KERNEL:-$here/../../.build/image/x86_64-unknown-none-elf/release/MachinePC}
[ -f "$KERNEL" ] || fail "no linked kernel at $KERNEL: run 'make image' first"
scratch
echo "steps: $KILLS power cuts at persist steps, $DOMAIN, seed $SEED"
memory=-
[ "$DOMAIN" = coherent-cache ] || memory=$STORE/nvm.img

# QEMU as it is, but stopped at its first instruction and with a gdb stub, until the file "free" is there.
emulator=${EVERTREE_QEMU:-qemu-system-x86_64}
cat >"$SCRATCH/qemu" <<END
#!/bin/sh
[ -e "$SCRATCH/free" ] ||
    set -- "\$@" -S -chardev "socket,id=steps,path=$SCRATCH/stub,server=on,wait=off" -gdb chardev:steps
exec "$emulator" "\$@"
END
chmod +x "$SCRATCH/qemu"
export EVERTREE_QEMU=$SCRATCH/qemu

program='trap "exit 0" TERM; i=0; while :; do i=$((i+1)); echo $i; done'
"$EVERTREE" run --store "$STORE" --accel tcg --domain "$DOMAIN" --cpus "${CPUS:-2}" --nvm 64M --memory 256M -- busybox sh -c "$program" \
    </dev/null >>"$OUTPUT" 2>>"$MESSAGES" &
COMMAND=$!
came=0
for cut in $(seq "$KILLS"); do
    where=$(python3 "$here/steps.py" "$KERNEL" "$SCRATCH/stub" "$COMMAND" "$((SEED * 1000 + cut))" "$memory" \
        "$EVERTREE" "$STORE" 2>>"$MESSAGES")
    case $? in
        0) came=$((came + 1)) ;;
        3) where="$where: did not come" ;;
        *) fail "no cut number $cut: $(tail -n 1 "$MESSAGES")" ;;
    esac
    [ -z "${VERBOSE:-}" ] || echo "  $where"
    wait "$COMMAND"
    status=$?
    [ $status -eq 75 ] || fail "the program ended with $status at cut $cut ($where)"
    rm -f "$SCRATCH/stub"
    # A store that never committed has nothing to check yet.
    "$EVERTREE" store check "$STORE" >"$SCRATCH/report" 2>&1 ||
        { cat "$SCRATCH/report" >&2; fail "store check found something after cut $cut ($where)"; }
    [ "$cut" -lt "$KILLS" ] || : >"$SCRATCH/free"
    "$EVERTREE" resume "$STORE" </dev/null >>"$OUTPUT" 2>>"$MESSAGES" &
    COMMAND=$!
done
[ $((came * 2)) -ge "$KILLS" ] || fail "only $came of $KILLS cuts came at their step"

end_program
last=$(tail -n 1 "$OUTPUT")
check_number "$last"
seq "$last" | cmp - "$OUTPUT" || fail "the output is not 1 to $last"
echo "steps: 1 to $last printed through $KILLS power cuts, $came of them at a persist step: none missing, none repeated"
