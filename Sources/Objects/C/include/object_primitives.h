// What the object space needs below Swift: atomic words that several processes share, and locks of a file that the kernel gives
// back when their holder dies (fcntl(2), open file description locks).
#ifndef EVERTREE_OBJECT_PRIMITIVES_H
#define EVERTREE_OBJECT_PRIMITIVES_H
#include <stdint.h>

static inline uint64_t os_load(const uint64_t *at) { return __atomic_load_n(at, __ATOMIC_SEQ_CST); }
static inline void os_store(uint64_t *at, uint64_t value) { __atomic_store_n(at, value, __ATOMIC_SEQ_CST); }
static inline uint64_t os_add(uint64_t *at, uint64_t value) { return __atomic_fetch_add(at, value, __ATOMIC_SEQ_CST); }
static inline int os_exchange_if(uint64_t *at, uint64_t expected, uint64_t value) {
    return __atomic_compare_exchange_n(at, &expected, value, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
}

// Takes the lock of one byte of a file for this open file description, waiting if asked. Returns 0 or an errno.
int os_lock_byte(int descriptor, int64_t byte, int waiting);
int os_unlock_byte(int descriptor, int64_t byte);
// Whether another open file description holds one of `count` bytes from `first`; -1 when the system cannot say.
int os_is_locked(int descriptor, int64_t first, int64_t count);

// Reserves `length` bytes of address space at a multiple of `alignment`. Null when refused.
void *os_reserve(uint64_t length, uint64_t alignment);
// Makes a part of a reservation ordinary memory, zero until written. Returns 0 or an errno.
int os_map_memory(void *at, uint64_t length);
// The same for a part of a file; `writable` 0 maps it for reading only.
int os_map_file(void *at, uint64_t length, int descriptor, int writable);
// Gives a part back to the reservation: it may not be touched.
void os_unmap(void *at, uint64_t length);
// Takes real space for a part of a file, which keeps its length. Returns 0, also where the file system cannot promise any, or an errno.
int os_take_space(int descriptor, uint64_t from, uint64_t to);
#endif
