// Instructions for NativeTest: floating-point registers, which Swift code in servers never touches.
#ifndef EVERTREE_NATIVE_TEST_H
#define EVERTREE_NATIVE_TEST_H
#include <stdint.h>

// Puts a pattern into eight vector registers.
static inline void native_test_load_vectors(uint64_t pattern) {
    __asm__ volatile("movq %0, %%xmm0\n movq %0, %%xmm3\n movq %0, %%xmm7\n movq %0, %%xmm8\n movq %0, %%xmm15"
                     ::"r"(pattern));
}

// Returns 1 if they still hold it.
static inline int native_test_check_vectors(uint64_t pattern) {
    uint64_t a, b, c, d, e;
    __asm__ volatile("movq %%xmm0, %0\n movq %%xmm3, %1\n movq %%xmm7, %2\n movq %%xmm8, %3\n movq %%xmm15, %4"
                     : "=r"(a), "=r"(b), "=r"(c), "=r"(d), "=r"(e));
    return a == pattern && b == pattern && c == pattern && d == pattern && e == pattern;
}

static inline uint64_t native_test_load(uint64_t address) { return *(volatile uint64_t *)address; }
static inline void native_test_store(uint64_t address, uint64_t value) { *(volatile uint64_t *)address = value; }
static inline void native_test_pause(void) { __asm__ volatile("pause" ::: "memory"); }
static inline uint32_t native_test_add(uint32_t *word, uint32_t n) { return __atomic_add_fetch(word, n, __ATOMIC_SEQ_CST); }
static inline uint32_t native_test_read(uint32_t *word) { return __atomic_load_n(word, __ATOMIC_SEQ_CST); }
#endif
