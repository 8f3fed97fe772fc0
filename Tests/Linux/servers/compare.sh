#!/usr/bin/env bash
# Debian's redis, memcached and python3, unmodified, in the guest: what each script here prints is what it prints on
# Linux. The packages are fetched once, below .build, and not installed.
# Usage: compare.sh EVERTREE      Exit status: 0 all equal, 1 something differs.
set -u
evertree=$(realpath "${1:?usage: compare.sh EVERTREE}")
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../../.." && pwd)/.build/debian
packages=(redis-server redis-tools memcached libjemalloc2 liblzf1 liblua5.1-0 lua-bitop lua-cjson libatomic1
    libhiredis0.14 libevent-2.1-7 libsystemd0)
if [ ! -e "$root/fetched" ]; then
    mkdir -p "$root" && (cd "$root" && apt-get download "${packages[@]}" && for p in *.deb; do dpkg -x "$p" .; done) ||
        { echo "cannot fetch the packages ${packages[*]}" >&2; exit 1; }
    touch "$root/fetched"
fi
libraries=/usr/lib/x86_64-linux-gnu
export LD_LIBRARY_PATH=$root$libraries
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
declare -A given
# A program or library and what it is linked with, under the names that the loader looks for.
files=(--file "$(readlink -f /lib64/ld-linux-x86-64.so.2):/usr/lib64/ld-linux-x86-64.so.2")
bring() { # HOST GUEST
    files+=(--file "$(readlink -f "$1"):$2")
    local library name
    for library in $(ldd "$1" | awk '$3 ~ /^\// {print $3}'); do
        name=$(basename "$library")
        [ -z "${given[$name]:-}" ] || continue
        given[$name]=1
        files+=(--file "$(readlink -f "$library"):$libraries/$name")
    done
}
for program in redis-server redis-cli redis-benchmark memcached; do
    bring "$root/usr/bin/$program" "/usr/bin/$program"
done
failed=0
compare() { # NAME FILES... -- COMMAND...
    local name=$1 brought=()
    shift
    while [ "$1" != -- ]; do brought+=("$1"); shift; done
    shift
    (cd / && PATH=$root/usr/bin:$PATH timeout 120 "$@") </dev/null >"$work/linux" 2>&1
    echo "status $?" >>"$work/linux"
    LD_LIBRARY_PATH= timeout 300 "$evertree" run --store "$work/$name.evertree" --cpus 1 "${brought[@]}" \
        --env PATH=/usr/bin:/bin -- "$@" </dev/null >"$work/guest" 2>&1
    echo "status $?" >>"$work/guest"
    if diff "$work/linux" "$work/guest" >"$work/diff"; then
        echo "equal    $name ($(wc -l <"$work/linux") lines)"
    else
        failed=1
        echo "DIFFERS  $name"
        head -n 20 "$work/diff"
    fi
}
for script in redis memcached; do
    compare $script "${files[@]}" --file "$here/$script.sh" -- /bin/busybox sh "$here/$script.sh"
done
# redis for clients on this host: 50 of them count through a published port while the power is cut, and count right.
published() {
    local store=$work/published.evertree port='' cutter command
    "$evertree" run --store "$store" --cpus 1 -p 0:6379 --restart on-crash "${files[@]}" --env PATH=/usr/bin \
        -- "$root/usr/bin/redis-server" --save '' >"$work/redis" 2>"$work/messages" </dev/null &
    command=$!
    until grep -q Ready "$work/redis"; do
        kill -0 $command 2>/dev/null || { cat "$work/messages" "$work/redis"; return 1; }
        sleep 0.1
    done
    port=$(sed -n 's/.*is published as 127.0.0.1:\([0-9]*\)$/\1/p' "$work/messages")
    (for cut in 1 2 3 4 5 6; do sleep 2; "$evertree" kill --power-loss "$store"; done) 2>/dev/null &
    cutter=$!
    timeout 300 "$root/usr/bin/redis-benchmark" -p "$port" -c 50 -n 20000 -t incr -q >"$work/benchmark" 2>&1 ||
        { cat "$work/benchmark"; kill $cutter $command; return 1; }
    wait $cutter
    local counted
    counted=$(timeout 60 "$root/usr/bin/redis-cli" -p "$port" get counter:__rand_int__)
    timeout 60 "$root/usr/bin/redis-cli" -p "$port" shutdown nosave
    wait $command || return 1
    [ "$counted" = 20000 ] || { echo "20000 increments made $counted"; return 1; }
    echo "right    redis published: 20000 increments through $(grep -c 'started again' "$work/messages") power cuts"
}
published || failed=1
unset LD_LIBRARY_PATH
python=$(readlink -f /usr/bin/python3)
files=() given=()
for module in "/usr/lib/$(basename "$python")"/lib-dynload/*.so; do
    for library in $(ldd "$module" | awk '$3 ~ /^\// {print $3}'); do
        [ -n "${given[$library]:-}" ] || files+=(--file "$(readlink -f "$library"):$libraries/$(basename "$library")")
        given[$library]=1
    done
done
compare python "${files[@]}" --file "/usr/lib/$(basename "$python")" --file "$here/network.py" --file /bin/busybox \
    -- "$python" "$here/network.py"
exit $failed
