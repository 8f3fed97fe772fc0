// Linux system calls on the host for tests that compare with Linux. Each answers 0 or more, or a
// negated errno.
#ifndef HOSTCALLS_H
#define HOSTCALLS_H

#include <stddef.h>
#include <stdint.h>

struct host_status {
    uint64_t inode, links, size, device_number;
    uint32_t mode, owner, group;
};

// Gives the calling thread a root, working directory and umask of its own. Needs CAP_SYS_CHROOT.
long host_enter_root(const char *directory, unsigned umask_bits);
// File system identity of the calling thread; `other` is its only supplementary group.
long host_identity(unsigned user, unsigned group, unsigned other);

// Removes a directory and all below it.
long host_remove_tree(const char *path);

long host_open(const char *path, unsigned flags, unsigned mode);
long host_close(int descriptor);
long host_mkdir(const char *path, unsigned mode);
long host_mknod(const char *path, unsigned mode, uint64_t device);
long host_unlink(const char *path);
long host_rmdir(const char *path);
long host_rename(const char *from, const char *to, unsigned flags);
long host_link(const char *from, const char *to, int follow);
long host_symlink(const char *target, const char *path);
long host_readlink(const char *path, char *buffer, size_t size);
long host_chmod(const char *path, unsigned mode);
// 0xFFFFFFFF leaves an identifier.
long host_chown(const char *path, unsigned user, unsigned group, int follow);
long host_truncate(const char *path, int64_t size);
long host_ftruncate(int descriptor, int64_t size);
// Both times now, or both to explicit seconds.
long host_utimens(const char *path, int now, int64_t accessed, int64_t modified);
// access(2) with the file system identity.
long host_access(const char *path, int mask);
long host_stat(const char *path, int follow, struct host_status *status);
long host_fstat(int descriptor, struct host_status *status);
long host_chdir(const char *path);
long host_getcwd(char *buffer, size_t size);
// getdents64(2): bytes put into `buffer`.
long host_getdents(int descriptor, void *buffer, size_t size);

// The records of the kernel's headers, filled so that a test can compare layouts byte by byte. Each
// answers the size of the record; the values are those of the argument, and times are pairs of
// seconds and nanoseconds: accessed, modified, changed, created.
long host_make_stat(const struct host_status *status, uint64_t device, uint64_t blocks,
                    const int64_t times[8], void *record);
long host_make_statx(const struct host_status *status, uint64_t device, uint64_t blocks,
                    const int64_t times[8], void *record);
// statfs: kind, total and free pages, total and free inodes, with 4096-byte blocks, names of 255
// and ST_VALID.
long host_make_statfs(const uint64_t values[5], void *record);
// makedev(3).
uint64_t host_make_device(unsigned major, unsigned minor);

#endif
