// What compiled code expects from its environment, for programs without a C library: the kernel and the ring-3 servers.
#ifndef EVERTREE_RUNTIME_H
#define EVERTREE_RUNTIME_H
#include <stddef.h>
#include <stdint.h>

// The four functions that every compiler may call, and three that the Swift runtime calls.
void *memcpy(void *restrict destination, const void *restrict source, size_t length);
void *memmove(void *destination, const void *source, size_t length);
void *memset(void *destination, int value, size_t length);
int memcmp(const void *left, const void *right, size_t length);
size_t strlen(const char *text);

// Fills a buffer for the seeds of hash tables. From RDRAND where the processor has it, else from the time-stamp
// counter: not for keys.
void arc4random_buf(void *buffer, size_t length);

// Ends the program with a message. Each program that links this library defines it.
_Noreturn void evertree_abort(const char *message);
#endif
