#define _GNU_SOURCE
#include "object_primitives.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

static struct flock bytes(short type, int64_t first, int64_t count) {
    return (struct flock){.l_type = type, .l_whence = SEEK_SET, .l_start = first, .l_len = count};
}

int os_lock_byte(int descriptor, int64_t byte, int waiting) {
    struct flock lock = bytes(F_WRLCK, byte, 1);
    for (;;) {
        if (fcntl(descriptor, waiting ? F_OFD_SETLKW : F_OFD_SETLK, &lock) == 0) return 0;
        if (errno != EINTR) return errno;
    }
}

int os_unlock_byte(int descriptor, int64_t byte) {
    struct flock lock = bytes(F_UNLCK, byte, 1);
    return fcntl(descriptor, F_OFD_SETLK, &lock) == 0 ? 0 : errno;
}

int os_is_locked(int descriptor, int64_t first, int64_t count) {
    struct flock lock = bytes(F_WRLCK, first, count);
    if (fcntl(descriptor, F_OFD_GETLK, &lock) != 0) return -1;
    return lock.l_type != F_UNLCK;
}

void *os_reserve(uint64_t length, uint64_t alignment) {
    char *at = mmap(0, length + alignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (at == MAP_FAILED) return 0;
    char *aligned = (char *)(((uintptr_t)at + alignment - 1) & ~(alignment - 1));
    if (aligned != at) munmap(at, aligned - at);
    if (at + alignment != aligned) munmap(aligned + length, at + alignment - aligned);
    return aligned;
}

int os_map_memory(void *at, uint64_t length) {
    int flags = MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    return mmap(at, length, PROT_READ | PROT_WRITE, flags, -1, 0) == MAP_FAILED ? errno : 0;
}

int os_map_file(void *at, uint64_t length, int descriptor, int writable) {
    int rights = PROT_READ | (writable ? PROT_WRITE : 0);
    return mmap(at, length, rights, MAP_FIXED | MAP_SHARED, descriptor, 0) == MAP_FAILED ? errno : 0;
}

void os_unmap(void *at, uint64_t length) {
    mmap(at, length, PROT_NONE, MAP_FIXED | MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
}

int os_take_space(int descriptor, uint64_t from, uint64_t to) {
    if (fallocate(descriptor, FALLOC_FL_KEEP_SIZE, (off_t)from, (off_t)(to - from)) == 0) return 0;
    return errno == EOPNOTSUPP ? 0 : errno;
}
