// Native system calls and program start for ring-3 servers (ABI: Sources/ABI/NativeCall.swift).
#ifndef EVERTREE_SERVER_RUNTIME_H
#define EVERTREE_SERVER_RUNTIME_H
#include <stdint.h>

#define EVERTREE_CLOBBERS "rcx", "r11", "memory"

static inline int64_t evertree_call0(uint64_t number) {
    int64_t result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number) : EVERTREE_CLOBBERS);
    return result;
}
static inline int64_t evertree_call1(uint64_t number, uint64_t a) {
    int64_t result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a) : EVERTREE_CLOBBERS);
    return result;
}
static inline int64_t evertree_call2(uint64_t number, uint64_t a, uint64_t b) {
    int64_t result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b) : EVERTREE_CLOBBERS);
    return result;
}
static inline int64_t evertree_call3(uint64_t number, uint64_t a, uint64_t b, uint64_t c) {
    int64_t result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : EVERTREE_CLOBBERS);
    return result;
}
static inline int64_t evertree_call4(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d) {
    int64_t result;
    register uint64_t r10 __asm__("r10") = d;
    __asm__ volatile("syscall"
                     : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10) : EVERTREE_CLOBBERS);
    return result;
}
static inline int64_t evertree_call5(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e) {
    int64_t result;
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    __asm__ volatile("syscall"
                     : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8) : EVERTREE_CLOBBERS);
    return result;
}
static inline int64_t evertree_call6(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,
                                     uint64_t f) {
    int64_t result;
    register uint64_t r10 __asm__("r10") = d;
    register uint64_t r8 __asm__("r8") = e;
    register uint64_t r9 __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : EVERTREE_CLOBBERS);
    return result;
}

// Ends the thread by an undefined instruction: the kernel reports the exception.
_Noreturn static inline void evertree_undefined(void) {
    __asm__ volatile("ud2");
    __builtin_unreachable();
}

// What the kernel put in the first thread's registers: byte length of the boot bundle, and 1 on the first start.
// Written once, before Swift runs.
extern const uint64_t evertree_bundle_length;
extern const uint64_t evertree_first_start;

// A frame for a new thread: `threadCreate` gets `evertree_thread_start`'s address as entry, the address of this struct as
// argument, and a 16-byte aligned stack. When `run` returns, the thread ends.
struct evertree_thread {
    void (*run)(uint64_t argument);
    uint64_t argument;
};
void evertree_thread_start(void);
static inline uint64_t evertree_thread_entry(void) { return (uint64_t)(uintptr_t)&evertree_thread_start; }
#endif
