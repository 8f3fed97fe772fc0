#define _GNU_SOURCE
#include "hostcalls.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static long result(long value) { return value < 0 ? -errno : value; }

long host_enter_root(const char *directory, unsigned umask_bits) {
    if (unshare(CLONE_FS) != 0 || chroot(directory) != 0 || chdir("/") != 0) return -errno;
    umask(umask_bits);
    return 0;
}

long host_identity(unsigned user, unsigned group, unsigned other) {
    gid_t groups[1] = {other};
    // The raw call changes this thread only; glibc's would change all.
    if (syscall(SYS_setgroups, 1, groups) != 0) return -errno;
    setfsgid(group);
    setfsuid(user);
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place) {
    (void)status, (void)type, (void)place;
    return remove(path);
}
long host_remove_tree(const char *path) {
    return result(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS));
}

long host_open(const char *path, unsigned flags, unsigned mode) {
    return result(syscall(SYS_openat, AT_FDCWD, path, flags, mode));
}
long host_close(int descriptor) { return result(close(descriptor)); }
long host_mkdir(const char *path, unsigned mode) { return result(mkdir(path, mode)); }
long host_mknod(const char *path, unsigned mode, uint64_t device) {
    return result(mknod(path, mode, device));
}
long host_unlink(const char *path) { return result(unlink(path)); }
long host_rmdir(const char *path) { return result(rmdir(path)); }
long host_rename(const char *from, const char *to, unsigned flags) {
    return result(syscall(SYS_renameat2, AT_FDCWD, from, AT_FDCWD, to, flags));
}
long host_link(const char *from, const char *to, int follow) {
    return result(linkat(AT_FDCWD, from, AT_FDCWD, to, follow ? AT_SYMLINK_FOLLOW : 0));
}
long host_symlink(const char *target, const char *path) { return result(symlink(target, path)); }
long host_readlink(const char *path, char *buffer, size_t size) {
    return result(readlink(path, buffer, size));
}
long host_chmod(const char *path, unsigned mode) { return result(chmod(path, mode)); }
long host_chown(const char *path, unsigned user, unsigned group, int follow) {
    return result(fchownat(AT_FDCWD, path, user, group, follow ? 0 : AT_SYMLINK_NOFOLLOW));
}
long host_truncate(const char *path, int64_t size) { return result(truncate(path, size)); }
long host_ftruncate(int descriptor, int64_t size) { return result(ftruncate(descriptor, size)); }

long host_utimens(const char *path, int now, int64_t accessed, int64_t modified) {
    struct timespec times[2] = {{accessed, 0}, {modified, 0}};
    return result(utimensat(AT_FDCWD, path, now ? NULL : times, 0));
}

long host_access(const char *path, int mask) {
    return result(syscall(SYS_faccessat2, AT_FDCWD, path, mask, AT_EACCESS));
}

static long fill(long value, const struct stat *from, struct host_status *to) {
    if (value != 0) return -errno;
    to->inode = from->st_ino;
    to->links = from->st_nlink;
    to->size = from->st_size;
    to->device_number = from->st_rdev;
    to->mode = from->st_mode;
    to->owner = from->st_uid;
    to->group = from->st_gid;
    return 0;
}

long host_stat(const char *path, int follow, struct host_status *status) {
    struct stat buffer;
    long value = fstatat(AT_FDCWD, path, &buffer, follow ? 0 : AT_SYMLINK_NOFOLLOW);
    return fill(value, &buffer, status);
}

long host_fstat(int descriptor, struct host_status *status) {
    struct stat buffer;
    return fill(fstat(descriptor, &buffer), &buffer, status);
}

long host_chdir(const char *path) { return result(chdir(path)); }
// The raw call: glibc's own has a second way to find the directory.
long host_getcwd(char *buffer, size_t size) { return result(syscall(SYS_getcwd, buffer, size)); }
long host_getdents(int descriptor, void *buffer, size_t size) {
    return result(syscall(SYS_getdents64, descriptor, buffer, size));
}

static struct timespec pair(const int64_t *times) { return (struct timespec){times[0], times[1]}; }
static struct statx_timestamp short_pair(const int64_t *times) {
    return (struct statx_timestamp){.tv_sec = times[0], .tv_nsec = (uint32_t)times[1]};
}

long host_make_stat(const struct host_status *status, uint64_t device, uint64_t blocks,
                    const int64_t times[8], void *record) {
    struct stat *to = memset(record, 0, sizeof *to);
    to->st_dev = device;
    to->st_ino = status->inode;
    to->st_nlink = status->links;
    to->st_mode = status->mode;
    to->st_uid = status->owner;
    to->st_gid = status->group;
    to->st_rdev = status->device_number;
    to->st_size = status->size;
    to->st_blksize = 4096;
    to->st_blocks = blocks;
    to->st_atim = pair(times);
    to->st_mtim = pair(times + 2);
    to->st_ctim = pair(times + 4);
    return sizeof *to;
}

long host_make_statx(const struct host_status *status, uint64_t device, uint64_t blocks,
                    const int64_t times[8], void *record) {
    struct statx *to = memset(record, 0, sizeof *to);
    to->stx_mask = STATX_BASIC_STATS | STATX_BTIME;
    to->stx_blksize = 4096;
    to->stx_nlink = status->links;
    to->stx_uid = status->owner;
    to->stx_gid = status->group;
    to->stx_mode = status->mode;
    to->stx_ino = status->inode;
    to->stx_size = status->size;
    to->stx_blocks = blocks;
    to->stx_atime = short_pair(times);
    to->stx_mtime = short_pair(times + 2);
    to->stx_ctime = short_pair(times + 4);
    to->stx_btime = short_pair(times + 6);
    to->stx_rdev_major = major(status->device_number);
    to->stx_rdev_minor = minor(status->device_number);
    to->stx_dev_major = major(device);
    to->stx_dev_minor = minor(device);
    return sizeof *to;
}

long host_make_statfs(const uint64_t values[5], void *record) {
    struct statfs *to = memset(record, 0, sizeof *to);
    to->f_type = values[0];
    to->f_bsize = 4096;
    to->f_blocks = values[1];
    to->f_bfree = values[2];
    to->f_bavail = values[2];
    to->f_files = values[3];
    to->f_ffree = values[4];
    to->f_namelen = 255;
    to->f_frsize = 4096;
    to->f_flags = 0x20;
    return sizeof *to;
}

uint64_t host_make_device(unsigned major_number, unsigned minor_number) {
    return makedev(major_number, minor_number);
}
