// Random seeds, the allocator's C names, and the stack protector's two symbols.
#include "runtime.h"

// CPUID leaf 1, ECX bit 30: RDRAND (Intel SDM vol. 2A, CPUID).
static int has_rdrand(void) {
    uint32_t eax = 1, ebx, ecx = 0, edx;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return (int)(ecx >> 30 & 1);
}

static uint64_t time_stamp(void) {
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

// One output of SplitMix64 (Steele, Lea, Flood 2014).
static uint64_t mix(uint64_t state) {
    state += 0x9E3779B97F4A7C15u;
    state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9u;
    state = (state ^ state >> 27) * 0x94D049BB133111EBu;
    return state ^ state >> 31;
}

static uint64_t random_word(int hardware) {
    uint64_t word = 0;
    unsigned char valid = 0;
    for (int attempt = 0; hardware && !valid && attempt < 10; attempt++) {
        __asm__ volatile("rdrand %0; setc %1" : "=r"(word), "=qm"(valid)::"cc");
    }
    return valid ? word : mix(time_stamp());
}

void arc4random_buf(void *buffer, size_t length) {
    unsigned char *to = buffer;
    int hardware = has_rdrand();
    while (length != 0) {
        uint64_t word = random_word(hardware);
        size_t part = length < 8 ? length : 8;
        memcpy(to, &word, part);
        to += part;
        length -= part;
    }
}

// A constant with a zero byte, which string functions cannot write.
uintptr_t __stack_chk_guard = 0x5A1E00C3D2B4F796u;

_Noreturn void __stack_chk_fail(void) { evertree_abort("stack overwritten"); }

// Swift's allocator in Sources/Runtime: Swift may not define these two names itself.
void *evertree_heap_allocate(size_t alignment, size_t size);
void evertree_heap_free(void *block);

int posix_memalign(void **result, size_t alignment, size_t size) {
    *result = evertree_heap_allocate(alignment, size);
    return 0;
}

void free(void *block) { evertree_heap_free(block); }
