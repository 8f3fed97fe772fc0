// The few instructions that Swift cannot speak, the same on the host and on bare metal (x86-64 only).
#ifndef EVERTREE_PRIMITIVES_H
#define EVERTREE_PRIMITIVES_H
#include <stdint.h>

// CRC32C of eight more bytes (Intel SDM vol. 2A, CRC32; polynomial 0x1EDC6F41), without the final inversion.
static inline uint32_t evertree_crc32c_u64(uint32_t crc, uint64_t word) {
    uint64_t state = crc;
    __asm__("crc32q %1, %0" : "+r"(state) : "rm"(word));
    return (uint32_t)state;
}

// Writes a cache line back to memory, and may keep it in the cache (Intel SDM vol. 2A, CLWB).
static inline void evertree_clwb(const volatile void *address) {
    __asm__ volatile("clwb %0" : "+m"(*(volatile char *)address));
}

// Orders stores and write-backs before it against those after it.
static inline void evertree_store_fence(void) { __asm__ volatile("sfence" ::: "memory"); }

// Single, untorn accesses that the compiler neither merges nor reorders with one another.
static inline uint64_t evertree_load_u64(const volatile uint64_t *address) { return *address; }
static inline void evertree_store_u64(volatile uint64_t *address, uint64_t value) { *address = value; }

// Ends the iteration `count` of a spin-wait. `pause` only now and then: QEMU's TCG leaves its execution loop for each
// one and takes its global lock.
static inline void evertree_spin(uint32_t count) {
    if ((count & 0x1FFF) == 0x1FFF) __asm__ volatile("pause" ::: "memory");
    else __asm__ volatile("" ::: "memory");
}
#endif
