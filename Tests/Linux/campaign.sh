#!/bin/busybox sh
# A long script for differential runs and crash campaigns: everything it prints is the same on every run
# (no process ids, times or random numbers), and it needs nothing but busybox.
# Standard error is not compared: the shell reports killed jobs there or not, depending on who runs first.
# It works in the directory $WORK, which it makes and removes. The middle part is repeated ROUNDS times, or
# until there is a file $WORK.stop.
WORK=${WORK:-/tmp/evertree-campaign}
ROUNDS=${ROUNDS:-1}
rm -rf "$WORK"
mkdir -p "$WORK" || exit 90
cd "$WORK" || exit 91
failures=0

title() { echo "== $1"; }
check() {
    # check NAME EXPECTED ACTUAL
    if [ "$2" = "$3" ]; then
        echo "ok $1: $3"
    else
        echo "FAILED $1: expected '$2', got '$3'"
        failures=$((failures + 1))
    fi
}

title "arithmetic"
factorial() {
    local n=$1
    if [ "$n" -le 1 ]; then echo 1; else echo $((n * $(factorial $((n - 1))))); fi
}
check factorial 3628800 "$(factorial 10)"
check hexadecimal 255 $((0xff))
check octal 8 $((010))
check shift 1024 $((1 << 10))
check modulo -1 $((-7 % 3))
check ternary yes "$([ $((5 > 3 ? 1 : 0)) -eq 1 ] && echo yes)"
check bits 6 $((5 ^ 3))
sum=0
for i in $(seq 1 100); do sum=$((sum + i)); done
check gauss 5050 $sum
fibonacci() {
    local a=0 b=1 t i=0
    while [ $i -lt "$1" ]; do
        t=$((a + b)); a=$b; b=$t; i=$((i + 1))
    done
    echo $a
}
for n in 1 2 3 10 30 60; do echo "fibonacci $n = $(fibonacci $n)"; done

title "strings"
text="The quick brown fox jumps over the lazy dog"
check length 43 ${#text}
check prefix "quick brown fox jumps over the lazy dog" "${text#The }"
check suffix "The quick brown fox jumps over the lazy" "${text% *}"
check longest dog "${text##* }"
check shortest The "${text%% *}"
check default fallback "${nothing:-fallback}"
check alternative set "${text:+set}"
check replaced "The slow brown fox" "$(echo "The quick brown fox" | sed 's/quick/slow/')"
set -- one two "three four" five
check positional 4 $#
check third "three four" "$3"
shift 2
check shifted "three four" "$1"
IFS=:
set -- a:b:c
unset IFS
case "$text" in
    *fox*dog) echo "case matched" ;;
    *) echo "case missed" ;;
esac
printf '%05d|%-8s|%8s|%x|%c\n' 42 left right 255 z

title "fork and pipes"
for i in 1 2 3 4 5 6 7 8; do
    (
        x=$((i * i))
        exit $((x % 7))
    )
    echo "subshell $i exits with $?"
done
seq 1 200 | while read -r n; do
    [ $((n % 50)) -eq 0 ] && echo "line $n"
done
check deep 16 "$(echo x | sed 's/x/xx/g' | sed 's/x/xx/g' | sed 's/x/xx/g' | sed 's/x/xx/g' | tr -d '\n' | wc -c | tr -d ' ')"
(false | true); check pipestatus 0 $?
! true; check negation 1 $?
yes evertree | head -n 5 | uniq -c
seq 1 5000 | sort -n -r | head -n 3
check counted 5000 "$(seq 1 5000 | wc -l | tr -d ' ')"
mkfifo pipe
(for i in 1 2 3; do echo "through fifo $i"; done > pipe) &
cat pipe
wait
rm pipe

title "here-documents"
name=Evertree
cat <<END
Hello $name, $((6 * 7)) is $(echo the answer).
	A tab stays.
END
cat <<'END'
Nothing is $expanded $(here).
END
cat <<-END
	tabs in front are gone
	END
tr a-z A-Z <<END | rev
a here document in a pipeline
END
while read -r first rest; do echo "[$first] [$rest]"; done <<END
alpha beta gamma
delta
  epsilon   zeta
END

title "background jobs and wait"
for i in 3 1 2; do
    (
        sleep 0.0$i
        echo "job $i" > job.$i
        exit "$i"
    ) &
    eval "job$i=\$!"
done
for i in 1 2 3; do
    eval "wait \$job$i"
    echo "job $i returned $?: $(cat job.$i)"
done
(while :; do sleep 1; done; echo never) &
victim=$!
kill -TERM $victim
wait $victim
check terminated 143 $?
(exec sleep 1000000) &
victim=$!
kill -KILL $victim
wait $victim
check killed 137 $?
true & wait $!
check background 0 $?
for i in 1 2 3 4 5 6 7 8 9 10; do (exit 0) & done
wait
echo "all children gone"

title "traps and signals"
trap 'echo "caught USR1"' USR1
kill -USR1 $$
trap 'echo "caught USR2"; caught=yes' USR2
(sleep 0.05; kill -USR2 $$) &
wait
wait
check caught yes "$caught"
trap '' INT
kill -INT $$
echo "INT is ignored"
trap - INT USR1 USR2
(
    trap 'echo "exit trap, status $?"' EXIT
    exit 3
)
check subshell 3 $?
sh -c 'kill -SEGV $$' 2>/dev/null
check segv 139 $?
sh -c 'trap "exit 5" HUP; kill -HUP $$; exit 6'
check hup 5 $?
yes | head -n 1 >/dev/null
echo "SIGPIPE ended yes"

round=1
while [ $round -le "$ROUNDS" ] && [ ! -e "$WORK.stop" ]; do
    title "files, round $round"
    mkdir -p tree/a/b/c tree/d "tree/with space"
    for d in tree tree/a tree/a/b tree/a/b/c tree/d "tree/with space"; do
        for i in 1 2 3; do echo "file $i in $d" > "$d/file$i.txt"; done
    done
    check files 18 "$(find tree -type f | wc -l | tr -d ' ')"
    find tree -type d | sort
    find tree -name 'file2.txt' | sort | xargs -n 1 echo found 2>/dev/null | head -n 3
    find tree -type f -exec cat {} \; | sort | uniq | wc -l | tr -d ' '
    ln -s a/b/c tree/link
    ln tree/a/file1.txt tree/hard
    check symlink a/b/c "$(readlink tree/link)"
    check through "file 1 in tree/a/b/c" "$(cat tree/link/file1.txt)"
    check hardlink 2 "$(stat -c %h tree/hard)"
    chmod 640 tree/hard
    check mode 640 "$(stat -c %a tree/a/file1.txt)"
    mv tree/d tree/e
    [ -d tree/e ] && [ ! -e tree/d ] && echo "directory renamed"
    cp -r tree copy
    diff -r tree copy && echo "copy is equal"
    echo changed >> copy/a/file1.txt
    diff tree/a/file1.txt copy/a/file1.txt
    rm -r copy
    dd if=/dev/zero of=zeros bs=1k count=64 2>/dev/null
    check size 65536 "$(stat -c %s zeros)"
    truncate -s 100 zeros
    check truncated 100 "$(wc -c < zeros | tr -d ' ')"
    [ -r zeros ] && [ -s zeros ] && [ ! -x zeros ] && echo "tests of zeros"
    exec 3> third
    echo "to descriptor three" >&3
    exec 3>&-
    exec 4< third
    read -r line <&4
    exec 4<&-
    check descriptors "to descriptor three" "$line"
    ls nowhere 2> errors || echo "ls failed: $(wc -l < errors | tr -d ' ') line"

    title "sort, awk, sed, tar, gzip, md5sum, round $round"
    awk 'BEGIN { s = 12345; for (i = 0; i < 400; i++) { s = (s * 1103 + 12347) % 65536; print s, i % 17, "word" s % 31 } }' > data
    sort -n data | head -n 5
    sort -k2,2n -k1,1nr data | tail -n 5
    sort -u -k3,3 data | wc -l | tr -d ' '
    awk '{ count[$3]++; total += $1 } END { for (w in count) n++; print n, total }' data
    awk '$2 == 3 { printf "%s-%s;", $1, $3 } END { print "" }' data | cut -c 1-70
    awk -F'[ ]' 'NR % 100 == 0 { print NR ": " toupper($3), length($0), substr($3, 5) }' data
    sed -n '10,12p; 20{s/word/WORD/;p}' data
    sed -e 's/\([0-9]*\) \([0-9]*\) \(.*\)/\3:\1/' -e '3q' data
    sed '/word1/d' data | wc -l | tr -d ' '
    grep -c 'word7$' data
    grep -E '^(1|2)[0-9]{3} ' data | head -n 4
    cut -d' ' -f2 data | sort -n | uniq -c | sort -rn | head -n 3
    tr -s ' ' '\n' < data | tail -n 4
    paste -d, data data 2>/dev/null | head -n 2
    md5sum data
    sha256sum data
    tar cf archive.tar tree data
    tar tf archive.tar | sort | head -n 12
    gzip -9 archive.tar
    gzip -t archive.tar.gz && echo "archive is sound"
    mkdir out
    gunzip -c archive.tar.gz | tar xf - -C out
    diff -r tree out/tree && cmp data out/data && echo "unpacked is equal"
    (cd out && find . -type f | sort | xargs md5sum 2>/dev/null | md5sum)
    head -c 3000 data | od -A d -t x1 | sed -n '1p;100p;$p'
    base64 < data | md5sum
    seq 1 300 | xargs -n 50 echo | awk '{ print NF }'
    expr 17 '*' 3 + 4
    printf '%s\n' c a b | sort | tr '\n' ' '; echo
    echo "3 4 + 2 * p" | dc 2>/dev/null
    rm -rf tree out archive.tar.gz data zeros third errors
    round=$((round + 1))
done

title "functions and loops"
count=0
until [ $count -ge 5 ]; do
    count=$((count + 1))
    [ $count -eq 2 ] && continue
    [ $count -eq 4 ] && break
    echo "count $count"
done
hanoi() { [ "$1" -eq 0 ] && return; hanoi $(($1 - 1)) "$2" "$4" "$3"; moves=$((moves + 1)); hanoi $(($1 - 1)) "$4" "$3" "$2"; }
moves=0
hanoi 6 left middle right
check hanoi 63 $moves
primes=""
n=2
while [ $n -lt 60 ]; do
    d=2
    while [ $((d * d)) -le $n ] && [ $((n % d)) -ne 0 ]; do d=$((d + 1)); done
    [ $((d * d)) -gt $n ] && primes="$primes $n"
    n=$((n + 1))
done
echo "primes:$primes"
eval 'for word in $(echo eval works); do echo "$word"; done'
(cd / && pwd)
umask 027
: > masked
check umask 640 "$(stat -c %a masked)"
command -v no-such-command-here || echo "not found"
no-such-command-here 2>/dev/null
check notfound 127 $?
test -e masked -a ! -d masked && echo "test works"

cd /
rm -rf "$WORK"
echo "failures: $failures"
exit $((failures == 0 ? 42 : 1))
