#!/bin/busybox sh
# Many small programs once each, with their messages and exit statuses.
cd /tmp && rm -rf evertree-applets && mkdir evertree-applets && cd evertree-applets || exit 90
run() { "$@"; echo "[$1: $?]"; }

run basename /a/b/c.txt .txt
run dirname /a/b/c.txt
run printf '%s %d %5.2f\n' text 7 3.14159
run seq 3 2 11
run expr 5 + 3
run test a = b
run echo -e 'tab\tnewline\\'
run cat nothing
run mkdir one one/two
run mkdir one
run rmdir one
run ls -a one
run touch one/file
run rm one
run rm -r one
run cp nothing other
run ln -s target link
run readlink link
run cat link
run ls -l nothing
echo "some text" > file
chmod 000 file
run stat -c '%A %a %U %G %s %F' file
chmod 755 file
run stat -c '%A %a %h' file
run wc file
run head -c 4 file
echo
run tail -c 5 file
run cmp file file
run mv file moved
run ls
run find . -type f
run grep -n text moved
run grep -q absent moved
run sed s/text/TEXT/ moved
run awk '{ print $2 }' moved
run tr a-z A-Z < moved
run sort -r moved
run uniq moved
run rev moved
run od -c moved
run hexdump -C moved
run md5sum moved
run sha1sum moved
run base64 moved
run dd if=moved of=copy bs=2 count=3
run cat copy
echo
run tee first second < moved
run cat first second
run touch -d '2020-01-02 03:04:05' dated
run stat -c %Y dated
run date -u -d @86400 '+%Y-%m-%d %H:%M:%S'
run env -i A=1 B=2 env
run sh -c 'echo $0 $1 $#' zero one two
run xargs echo < moved
run which sh
run id -u
run whoami
run hostname -s > /dev/null
run uname -s
run uname -m
run pwd
run true
run false
run sleep 0
run usleep 1
run nice -n 0 echo niced
run timeout 5 echo in time
run timeout 0.1 sleep 5
run mkfifo fifo
run test -p fifo
run mknod null c 1 3
run sh -c 'echo gone > null'
run cat null
run cut -c 2-5 moved
run fold -w 3 moved
run expand moved
run nl moved
run comm first second
run diff first dated
run install -m 640 moved installed
run stat -c %a installed
run split 2>/dev/null
run cpio -o -H newc 2>/dev/null < /dev/null | wc -c
run tar cf a.tar first second
run tar tvf a.tar | awk '{ print $1, $2, $3, $6 }'
run gzip -k a.tar
run zcat a.tar.gz | cmp - a.tar
run bzip2 -k a.tar
run bunzip2 -c a.tar.bz2 | cmp - a.tar
run unxz -c nothing
run sync
run truncate -s 1M sparse
run du -k nothing
run realpath ../evertree-applets/first
run mktemp -u nothing.XXXXXX > /dev/null
run dc -e '2 3 + p' 2>/dev/null
run bc 2>/dev/null < /dev/null
run cal 1 2000
run factor 91 2>/dev/null
run yes | head -n 1
run printenv HOME
run logname > /dev/null 2>&1
run kill -0 $$
run kill -l 9
run kill 999999
run vi --help > /dev/null 2>&1
run ls /nowhere/at/all
run cd /nowhere
run ls -d /proc/self /dev/null /dev/tty /tmp
run cat /proc/self/comm
run cat /dev/null
run head -c 3 /dev/zero | od -b
run sh -c 'umask'
run sh -c 'exit 300'
run sh -c 'kill -9 $$'
run sh missing-script
chmod +x moved
run ./moved
printf '#!/bin/busybox sh\necho script "$@"\n' > script && chmod +x script
printf '#!/nowhere/interpreter\n' > broken && chmod +x broken
run ./script a b
run ./broken
run ./nothing
run .
cd /tmp && rm -rf evertree-applets
