# Open files under other names: pipes and deleted files by /proc/self/fd, /dev/stdin and /dev/fd.
rm -rf /tmp/evertree-reopen && mkdir /tmp/evertree-reopen && cd /tmp/evertree-reopen || exit 1
echo 1 | cat /dev/stdin
echo 2 | cat /dev/fd/0
echo 3 | cat /proc/self/fd/0
echo 4 | (cat /dev/stdin; echo end)
(echo 5 | cat > /dev/stdout) | cat
(echo 6 | tee /dev/stderr 2>&1) | cat
mkfifo named; (echo 7 > named) & cat named; wait
echo kept > file; exec 3< file; readlink /proc/self/fd/3
mv file moved; readlink /proc/self/fd/3
rm moved; readlink /proc/self/fd/3; cat /proc/self/fd/3
exec 3<&-
mkdir gone; exec 4< gone; rmdir gone; readlink /proc/self/fd/4; exec 4<&-
cat /dev/stdin
cd / && rm -rf /tmp/evertree-reopen
