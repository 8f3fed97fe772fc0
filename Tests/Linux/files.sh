# Files, links, permissions, renames, directories while they change, /proc: all that a shell can do with a file system.
export TZ=UTC LC_ALL=C
umask 022
rm -rf /tmp/evertree-files && mkdir /tmp/evertree-files && cd /tmp/evertree-files || exit 1
show() { find . | sort | while read -r name; do stat -c '%A %h %u:%g %N' "$name"; done; }
try() { "$@"; echo "$* -> $?"; }

echo "--- names"
mkdir -p a/b/c d && echo one > a/f && echo two > a/b/g && ln a/f d/hard && ln -s ../a/f d/soft && ln -s nowhere d/dangling
mkfifo d/pipe && ln -s loop loop
show
cat d/soft d/hard
try mkdir a
try mkdir a/f/x
try mkdir missing/x
try rmdir a
try rmdir a/f
try rm a
try rm missing
try cat loop
try cat d/dangling
try cat a/f/
try ln a/f d/hard
try ln a d/directory
try ln -s x d/soft
try mv a a/b/inside
try mv missing x
try mv a/f a/b
try mv a/b/f a/f
try cp missing x
try cd a/f
touch "$(printf '%0255d' 0)" && echo longest
touch "$(printf '%0256d' 0)"
echo "too long -> $?"
rm "$(printf '%0255d' 0)"

echo "--- permissions and umask"
for mode in 0 111 444 644 755 1777 2755 4755 7777; do echo x > m; chmod $mode m; stat -c '%a %A' m; done
umask 077; echo x > private; mkdir closed; umask 0; echo x > open; mkdir wide; umask 022
stat -c '%a %n' private closed open wide
chmod u+s,g-w,o= open; chmod +t wide; stat -c '%a %n' open wide
chown 12:34 open; stat -c '%u:%g %a' open
cp -a open copy; stat -c '%u:%g %a' copy
test -x m; echo "executable $?"; chmod 644 m; test -x m; echo "executable $?"

echo "--- times"
touch -d '2001-09-09 01:46:40' old; touch -d '2020-02-02 02:02:02' new; touch -r old same
stat -c '%Y %n' old new same
test new -nt old && echo newer; test old -ot new && echo older
ls -l --full-time old 2>/dev/null | cut -c1-10
find . -newer old -name new
date -r old

echo "--- contents"
printf 'abc' > f; printf 'def' >> f; cat f; echo; wc -c < f
dd if=/dev/zero of=sparse bs=1 count=1 seek=100000 2>/dev/null; stat -c %s sparse; md5sum < sparse
printf XY | dd of=f bs=1 seek=2 conv=notrunc 2>/dev/null; cat f; echo
truncate -s 4 f; cat f; echo; truncate -s 6 f; od -c f
set -C; echo x > f; echo "clobbered $?"; set +C
exec 3< f; rm f; cat <&3 | od -c; exec 3<&-
exec 4> out; echo first >&4; mv out moved; echo second >&4; exec 4>&-; cat moved
cp sparse sparse2 && cmp sparse sparse2 && echo same
head -c 200000 /dev/zero | tr '\0' 'x' > big; stat -c %s big; md5sum big; tail -c 5 big; echo
: > big; stat -c %s big
cat < /dev/null; head -c 4 /dev/zero | od -c; echo gone > /dev/null; echo full > /dev/full; echo "full $?"

echo "--- renames"
mkdir r r/e r/full; echo 1 > r/1; echo 2 > r/2; echo x > r/full/x
try mv r/1 r/2; cat r/2
try mv -n r/2 r/full
try mv r/e r/full
ls r/full
mkdir r/e2; try mv -T r/e2 r/full
mkdir r/e3 r/e4; try mv -T r/e3 r/e4
ls r

echo "--- directories while they change"
mkdir many; i=0; while [ $i -lt 300 ]; do echo $i > many/f$i; i=$((i + 1)); done
ls many | wc -l; find many -type f | wc -l
for name in many/*; do case $name in *[02468]) rm "$name";; *) mv "$name" "$name.odd";; esac; done
ls many | sort | md5sum
find many -name '*.odd' -exec rm {} \; ; ls many | wc -l; try rmdir many
mkdir gone; cd gone; rmdir ../gone; ls; echo x > x; echo "in a removed directory: $?"; cd ..; pwd
mkdir -p deep/1/2/3/4/5/6/7/8/9; (cd deep/1/2/3/4/5/6/7/8/9 && pwd && cd ../../../../../../../../../.. && pwd)
ln -s deep/1/2 short; (cd short/3 && pwd -P); readlink -f short/3/../3/4; realpath short

echo "--- trees"
cp -a a copytree; diff -r a copytree && echo "equal trees"
tar cf t.tar a d/soft d/hard; mkdir x; tar xf t.tar -C x; (cd x && find . | sort | while read -r n; do stat -c '%A %h %N' "$n"; done)
find . -type l | sort; find . -links +1 -type f | sort; find . -perm -4000 | sort; find . -type p; find . -empty | sort
du -a a/b 2>/dev/null | cut -f2 | sort
rm -rf copytree x deep; ls

echo "--- /proc and /dev"
readlink /proc/self/cwd; cat /proc/self/comm; readlink /proc/self/exe
readlink /proc/self/fd/0 < a/f; cat /dev/fd/5 5< a/f; cat /proc/self/fd/6 6< a/b/g
tr '\0' ' ' < /proc/self/cmdline; echo
test -c /dev/null && test -c /dev/tty && test -d /proc/self/task && echo nodes
cat /proc/sys/kernel/ostype; mkdir /proc/x; echo "mkdir in /proc: $?"; rm /proc/version; echo "rm in /proc: $?"
cd / && rm -rf /tmp/evertree-files && echo end
