// What the persistent memory library needs below Swift: write-back instructions, a checksum, a lock word, and the
// few calls whose C declarations Swift cannot import (variadic, or behind feature macros). x86-64 only.
#ifndef EVERTREE_PERSISTENT_MEMORY_H
#define EVERTREE_PERSISTENT_MEMORY_H
#include <stddef.h>
#include <stdint.h>

// CRC32C of eight more bytes (Intel SDM vol. 2A, CRC32; polynomial 0x1EDC6F41), without the final inversion.
static inline uint64_t pm_crc32c(uint64_t crc, uint64_t word) {
    __asm__("crc32q %1, %0" : "+r"(crc) : "r"(word));
    return crc;
}

// Write-back of one cache line (Intel SDM vol. 2A). CLWB may keep the line; CLFLUSHOPT and CLFLUSH drop it.
static inline void pm_clwb(const void *line) {
    __asm__ volatile("clwb %0" : : "m"(*(const volatile char *)line) : "memory");
}
static inline void pm_clflushopt(const void *line) {
    __asm__ volatile("clflushopt %0" : : "m"(*(const volatile char *)line) : "memory");
}
static inline void pm_clflush(const void *line) {
    __asm__ volatile("clflush %0" : : "m"(*(const volatile char *)line) : "memory");
}
// Orders write-backs and stores before it against stores after it.
static inline void pm_sfence(void) { __asm__ volatile("sfence" ::: "memory"); }
// Keeps the compiler from moving stores across; costs nothing.
static inline void pm_compiler_fence(void) { __asm__ volatile("" ::: "memory"); }

// Copies the 64-byte lines that differ; both addresses are multiples of 64. Returns how many. With `streaming` they go past
// the caches (Intel SDM vol. 1, 10.4.6.2), so they need no write-back, only a store fence; an aligned word never tears.
size_t pm_copy_lines(void *to, const void *from, size_t lines, int streaming);

// Which write-back instruction this processor has: 3 CLWB, 2 CLFLUSHOPT, 1 CLFLUSH (CPUID leaf 7, EBX 24 and 23).
int pm_write_back_instruction(void);

// A word that names the calling thread and costs one instruction (the thread control block's address).
static inline uint64_t pm_thread_id(void) { return (uint64_t)__builtin_thread_pointer(); }

// A lock word after U. Drepper, "Futexes Are Tricky" (mutex 3): 0 free, 1 held, 2 held with waiters.
void pm_lock_slow(uint32_t *word);
void pm_unlock_slow(uint32_t *word);
static inline void pm_lock(uint32_t *word) {
    uint32_t free = 0;
    if (!__atomic_compare_exchange_n(word, &free, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED)) pm_lock_slow(word);
}
static inline int pm_try_lock(uint32_t *word) {
    uint32_t free = 0;
    return __atomic_compare_exchange_n(word, &free, 1, 0, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED);
}
static inline void pm_unlock(uint32_t *word) {
    if (__atomic_exchange_n(word, 0, __ATOMIC_RELEASE) == 2) pm_unlock_slow(word);
}

// Single, untorn accesses that other threads may make at the same time.
static inline uint64_t pm_load(const uint64_t *at) { return __atomic_load_n(at, __ATOMIC_RELAXED); }
static inline void pm_store(uint64_t *at, uint64_t value) { __atomic_store_n(at, value, __ATOMIC_RELAXED); }
static inline uint64_t pm_load_acquire(const uint64_t *at) { return __atomic_load_n(at, __ATOMIC_ACQUIRE); }
static inline void pm_store_release(uint64_t *at, uint64_t value) { __atomic_store_n(at, value, __ATOMIC_RELEASE); }

// Heaps that hold native objects, by address: a setter asks whose object it is called on. `pm_native_count` only grows;
// an entry of length 0 is free.
#define PM_NATIVE_HEAPS 64
struct pm_native_heap {
    uint64_t base, bytes;
    void *owner;
};
extern struct pm_native_heap pm_native_heaps[PM_NATIVE_HEAPS];
extern int pm_native_count;
static inline void *pm_native_owner(const void *address) {
    int count = __atomic_load_n(&pm_native_count, __ATOMIC_ACQUIRE);
    for (int i = 0; i < count; i++) {
        uint64_t bytes = __atomic_load_n(&pm_native_heaps[i].bytes, __ATOMIC_ACQUIRE);
        if ((uint64_t)address - pm_native_heaps[i].base < bytes) return pm_native_heaps[i].owner;
    }
    return 0;
}
// Returns 0 when the table is full.
int pm_native_add(const void *base, uint64_t bytes, void *owner);
void pm_native_remove(const void *base);

// Maps `length` bytes of a file at a fixed address that was reserved before. `synchronous` asks for MAP_SYNC
// (DAX only). Returns 0 or an errno.
int pm_map_fixed(void *address, size_t length, int descriptor, uint64_t offset, int synchronous);
// The same, private: stores are seen by this process and not by the file, until the range is mapped anew.
int pm_map_private(void *address, size_t length, int descriptor, uint64_t offset);
// Reserves address space without memory, at `hint` exactly if it is not null. Null when refused.
void *pm_reserve(void *hint, size_t length);
// Maps the pages of a range together (MADV_POPULATE_READ, MADV_POPULATE_WRITE, Linux 5.14). Failure changes nothing.
void pm_populate(void *at, size_t length, int writing);
// Readable zeros that take memory only where they are touched. Null when refused.
void *pm_zeroed(size_t length);
void pm_release(void *at, size_t length);
// Makes a file longer, taking real space if the file system can promise it. Returns 0 or an errno.
int pm_extend(int descriptor, uint64_t from, uint64_t to);
#endif
