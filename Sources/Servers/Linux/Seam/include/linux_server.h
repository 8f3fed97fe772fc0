// The whole seam between the Linux server and what it runs on. In the guest these are the system call instruction and
// `threadCreate` (Sources/ABI/NativeCall.swift); on a Linux host the hosted machine (Tests/Hosted/Native) provides them.
#ifndef EVERTREE_LINUX_SERVER_H
#define EVERTREE_LINUX_SERVER_H
#include <stddef.h>
#include <stdint.h>

// One native call: 0 or more, or a negated `NativeError`.
int64_t evertree_native_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f);

// Starts a server thread with a stack of its own that runs `run(argument)`, which must not return.
// The slot of its thread, or a negated `NativeError`.
int64_t evertree_start_server_thread(void (*run)(uint64_t argument), uint64_t argument);

// Random bytes: the runtime's in the guest, the C library's on a host.
void arc4random_buf(void *buffer, size_t length);

// Words shared with the outside (ring pointers): single accesses, neither merged nor moved over one another.
static inline uint64_t evertree_shared_load(const volatile uint64_t *word) {
    return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}
static inline void evertree_shared_store(volatile uint64_t *word, uint64_t value) {
    __atomic_store_n(word, value, __ATOMIC_RELEASE);
}
// A counter that server threads on several cores change. Return the value before.
static inline uint64_t evertree_counter_add(uint64_t *word, uint64_t value) {
    return __atomic_fetch_add(word, value, __ATOMIC_SEQ_CST);
}
#endif
