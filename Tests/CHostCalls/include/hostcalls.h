// Linux system calls on the host for tests that compare with Linux. Each answers 0 or more, or a negated errno.
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

#endif
