#!/bin/bash
# A root file system of Debian's packages, given as a directory, as compressed archives and as an OCI layout: what programs
# in it print is what they print in a chroot on this host; a killed machine goes on with it; a store too small is refused.
# Usage: root.sh EVERTREE      Needs root (chroot, owners of files) and apt.
set -euo pipefail
evertree=$(realpath "${1:?usage: root.sh EVERTREE}")
crash=$(realpath "$(dirname "$0")/../Crash")
if [ "$(id -u)" != 0 ]; then
    echo "root.sh: skipped, needs root"
    exit 0
fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
failed=0
check() { # NAME EXPECTED FOUND
    if cmp -s "$2" "$3"; then
        echo "ok   $1"
    else
        echo "DIFF $1"
        diff "$2" "$3" | head -20 || true
        failed=1
    fi
}

mkdir packages root
packages="base-files base-passwd bash coreutils findutils libacl1 libattr1 libc6 libgcc-s1 libgmp10 libpcre2-8-0
libselinux1 libtinfo6 perl-base libcrypt1"
(cd packages && apt-get download $packages >../apt.log 2>&1) || { cat apt.log; exit 1; }
mkdir -p root/usr/{bin,lib,lib64,sbin}
for name in bin lib lib64 sbin; do ln -s usr/$name root/$name; done
for package in packages/*.deb; do dpkg-deb --fsys-tarfile "$package" | tar -C root -x --keep-directory-symlink; done
cp root/usr/share/base-passwd/passwd.master root/etc/passwd
cp root/usr/share/base-passwd/group.master root/etc/group
mkdir -p root/srv/data && ln root/usr/bin/perl root/srv/data/perl && mkfifo root/srv/data/pipe
mkdir -p root/dev && mknod root/dev/null c 1 3 && chmod 666 root/dev/null
mknod root/srv/data/null c 1 3 && chmod 666 root/srv/data/null && install -m 600 -o www-data /dev/null root/srv/data/private
touch -d @1000000000.123456789 root/srv/data/private && ln -s nowhere root/srv/data/dangling

# Every name with type, mode, owner, links, size and time; every byte.
cat >root/srv/script <<'S'
set -u
export LC_ALL=C TZ=UTC
cd /
find etc/passwd usr/bin usr/lib usr/share srv -printf '%p %y %m %U:%G %l %T@\n' | sort
find usr/bin usr/lib usr/share srv ! -type d -printf '%p %n %s\n' | sort
find usr/bin usr/lib srv -type f -exec sha256sum {} + | sort -k2
echo x >srv/data/null && cat srv/data/null
perl -e 'print join(",", map { $_ * $_ } 1..10), "\n"'
id
S
chroot root /bin/bash /srv/script >expected
options=(--cpus 1 --memory 256M)

run() { # NAME ROOT
    timeout 300 "$evertree" run "${options[@]}" --store "$1.evertree" --root "$2" -- /bin/bash /srv/script >"$1.out" 2>"$1.err" ||
        { cat "$1.err"; failed=1; }
    check "$1" expected "$1.out"
    "$evertree" store check "$1.evertree" 2>/dev/null || failed=1
}
run directory root
tar -C root --format=pax -c . | gzip -1 >root.tar.gz
run gzip root.tar.gz
tar -C root --format=pax -c . | xz -0 >root.tar.xz
run xz root.tar.xz
tar -C root --format=pax -c . | zstd -q -1 >root.tar.zst
run zstd root.tar.zst

# An OCI layout by umoci: two layers, the second with a whiteout, and a configuration.
umoci init --layout layout && umoci new --image layout:a >/dev/null
umoci insert --image layout:a root / >/dev/null
umoci insert --image layout:a --whiteout /srv/data >/dev/null
umoci config --image layout:a --config.user www-data --config.env GREETING=hello --config.workingdir /srv \
    --config.entrypoint /bin/bash --config.entrypoint -c --config.cmd 'id -un; pwd; echo $GREETING; ls /srv'
timeout 300 "$evertree" run "${options[@]}" --store oci.evertree --root layout:a >oci.out 2>oci.err || { cat oci.err; failed=1; }
printf 'www-data\n/srv\nhello\nscript\n' >oci.expected
check "OCI layout" oci.expected oci.out

# Files of the image that were written, removed, cut and grown, through power cuts; one goes on changing until it is told to
# end, so that each cut comes.
cat >root/srv/changes <<'S'
told=${1:-}
trap 'told=1' TERM
cd /usr/lib/x86_64-linux-gnu/perl-base || exit
i=0
for file in *.pm; do
    i=$((i + 1))
    case $((i % 4)) in
    0) rm $file ;;
    1) echo "more $i" >>$file ;;
    2) printf changed | dd of=$file bs=1 seek=100 conv=notrunc status=none ;;
    3) truncate -s 50 $file && truncate -s 9000 $file ;;
    esac
    echo $i
done
perl=/usr/bin/perl
before=$(sha256sum $perl)
cp -p $perl /srv/kept
until [ $told ]; do
    printf changed | dd of=$perl bs=1 seek=$((RANDOM * 100)) conv=notrunc status=none
    truncate -s $((RANDOM + 50000)) $perl
    cat /srv/kept >$perl
    [ "$(sha256sum $perl)" = "$before" ] || echo "$perl came back different"
done
sha256sum *.pm $perl | sort -k2
S
cp -a root changed
chroot changed /bin/bash /srv/changes told >changes.expected
(
    set +eo pipefail
    EVERTREE=$evertree
    . "$crash/library.sh"
    KILLS=5 CPUS=1 STORE=$work/changes.evertree OUTPUT=$work/changes.out MESSAGES=$work/changes.err
    survive --memory 256M --root root -- /bin/bash /srv/changes || fail "the changes ended by themselves with $STATUS"
    end_program
) || failed=1
check "changes through power cuts" changes.expected changes.out
"$evertree" store check changes.evertree 2>/dev/null || failed=1

# What programs looked for and did not find.
timeout 300 "$evertree" run "${options[@]}" --store missing.evertree --root root -- /bin/bash -c \
    'for i in 1 2 3 4 5 6 7; do [ -e /srv/none/$((i % 2))/x ]; done; mkdir /srv/new; [ -e /nothing ]' || true
printf '4\t/srv/none/1/x\n3\t/srv/none/0/x\n1\t/nothing\n' >missing.expected
"$evertree" missing missing.evertree | grep -E '/(srv|nothing)' >missing.out
check "missing paths" missing.expected missing.out

# Too small: refused before anything starts, with a size that does.
"$evertree" run --nvm 32M --store small.evertree --root root -- /bin/true 2>small.err && failed=1
size=$(sed -n 's/.*`--nvm \([0-9]*M\)`.*/\1/p' small.err)
if timeout 100 "$evertree" run "${options[@]}" --nvm "${size:-0M}" --store small.evertree --root root -- /bin/true 2>/dev/null; then
    echo "ok   a store too small is refused, one of $size is enough"
else
    echo "DIFF a store of the size that was named"
    cat small.err
    failed=1
fi
exit $failed
