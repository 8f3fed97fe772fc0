#define _GNU_SOURCE
#include "persistent_memory.h"
#include <cpuid.h>
#include <emmintrin.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int pm_write_back_instruction(void) {
    unsigned a, b, c, d;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d)) return 1;
    if (b & (1u << 24)) return 3;
    return b & (1u << 23) ? 2 : 1;
}

size_t pm_copy_lines(void *to, const void *from, size_t lines, int streaming) {
    __m128i *target = to;
    const __m128i *source = from, *end = source + 4 * lines;
    size_t copied = 0;
    for (; source < end; source += 4, target += 4) {
        __m128i a = source[0], b = source[1], c = source[2], d = source[3];
        __m128i same = _mm_and_si128(_mm_and_si128(_mm_cmpeq_epi8(a, target[0]), _mm_cmpeq_epi8(b, target[1])),
                                     _mm_and_si128(_mm_cmpeq_epi8(c, target[2]), _mm_cmpeq_epi8(d, target[3])));
        if (_mm_movemask_epi8(same) == 0xFFFF) continue;
        copied++;
        if (streaming) {
            _mm_stream_si128(target, a);
            _mm_stream_si128(target + 1, b);
            _mm_stream_si128(target + 2, c);
            _mm_stream_si128(target + 3, d);
        } else {
            _mm_store_si128(target, a);
            _mm_store_si128(target + 1, b);
            _mm_store_si128(target + 2, c);
            _mm_store_si128(target + 3, d);
        }
    }
    return copied;
}

void pm_lock_slow(uint32_t *word) {
    while (__atomic_exchange_n(word, 2, __ATOMIC_ACQUIRE) != 0)
        syscall(SYS_futex, word, FUTEX_WAIT_PRIVATE, 2, (void *)0, (void *)0, 0);
}

void pm_unlock_slow(uint32_t *word) {
    syscall(SYS_futex, word, FUTEX_WAKE_PRIVATE, 1, (void *)0, (void *)0, 0);
}

int pm_map_fixed(void *address, size_t length, int descriptor, uint64_t offset, int synchronous) {
    int flags = MAP_FIXED | (synchronous ? MAP_SHARED_VALIDATE | MAP_SYNC : MAP_SHARED);
    void *at = mmap(address, length, PROT_READ | PROT_WRITE, flags, descriptor, (off_t)offset);
    return at == MAP_FAILED ? errno : 0;
}

int pm_map_private(void *address, size_t length, int descriptor, uint64_t offset) {
    void *at = mmap(address, length, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_PRIVATE, descriptor, (off_t)offset);
    return at == MAP_FAILED ? errno : 0;
}

void *pm_reserve(void *hint, size_t length) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (hint ? MAP_FIXED_NOREPLACE : 0);
    void *at = mmap(hint, length, PROT_NONE, flags, -1, 0);
    if (at == MAP_FAILED) return 0;
    if (hint && at != hint) {
        munmap(at, length);
        return 0;
    }
    return at;
}

void *pm_zeroed(size_t length) {
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *at = mmap(0, length, PROT_READ | PROT_WRITE, flags, -1, 0);
    return at == MAP_FAILED ? 0 : at;
}

void pm_populate(void *at, size_t length, int writing) { madvise(at, length, writing ? 23 : 22); }

int pm_extend(int descriptor, uint64_t from, uint64_t to) {
    if (fallocate(descriptor, 0, (off_t)from, (off_t)(to - from)) == 0) return 0;
    if (errno != EOPNOTSUPP) return errno;
    return ftruncate(descriptor, (off_t)to) == 0 ? 0 : errno;
}

void pm_release(void *at, size_t length) { munmap(at, length); }

struct pm_native_heap pm_native_heaps[PM_NATIVE_HEAPS];
int pm_native_count;
static uint32_t native_lock;

int pm_native_add(const void *base, uint64_t bytes, void *owner) {
    pm_lock(&native_lock);
    int slot = 0;
    while (slot < pm_native_count && pm_native_heaps[slot].bytes) slot++;
    if (slot < PM_NATIVE_HEAPS) {
        pm_native_heaps[slot].base = (uint64_t)base;
        pm_native_heaps[slot].owner = owner;
        // The length last: it makes the entry count for readers, who take no lock.
        __atomic_store_n(&pm_native_heaps[slot].bytes, bytes, __ATOMIC_RELEASE);
        if (slot == pm_native_count) __atomic_store_n(&pm_native_count, slot + 1, __ATOMIC_RELEASE);
    }
    pm_unlock(&native_lock);
    return slot < PM_NATIVE_HEAPS;
}

void pm_native_remove(const void *base) {
    pm_lock(&native_lock);
    for (int i = 0; i < pm_native_count; i++)
        if (pm_native_heaps[i].base == (uint64_t)base) __atomic_store_n(&pm_native_heaps[i].bytes, 0, __ATOMIC_RELEASE);
    pm_unlock(&native_lock);
}
