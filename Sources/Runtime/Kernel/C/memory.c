// Memory functions without SSE. Long copies use `rep movsq`: under QEMU's TCG `rep movsb` costs ten times as much.
#include "runtime.h"

typedef uint64_t unaligned_word __attribute__((aligned(1), may_alias));

void *memcpy(void *restrict destination, const void *restrict source, size_t length) {
    unsigned char *to = destination;
    const unsigned char *from = source;
    size_t words = length / 8;
    if (words >= 16) {
        __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words)::"memory");
    } else {
        for (; words != 0; words--, to += 8, from += 8) *(unaligned_word *)to = *(const unaligned_word *)from;
    }
    for (length %= 8; length != 0; length--) *to++ = *from++;
    return destination;
}

// Copies from the end: for a destination that overlaps the end of the source.
static void copy_backward(unsigned char *to, const unsigned char *from, size_t length) {
    while (length >= 8) {
        length -= 8;
        *(unaligned_word *)(to + length) = *(const unaligned_word *)(from + length);
    }
    while (length != 0) {
        length--;
        to[length] = from[length];
    }
}

void *memmove(void *destination, const void *source, size_t length) {
    size_t distance = (size_t)((uintptr_t)destination - (uintptr_t)source);
    if (distance == 0) return destination;
    if (distance < length) {
        copy_backward(destination, source, length);
        return destination;
    }
    return memcpy(destination, source, length);
}

void *memset(void *destination, int value, size_t length) {
    unsigned char *to = destination;
    uint64_t pattern = 0x0101010101010101u * (unsigned char)value;
    size_t words = length / 8;
    if (words >= 16) {
        __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
    } else {
        for (; words != 0; words--, to += 8) *(unaligned_word *)to = pattern;
    }
    for (length %= 8; length != 0; length--) *to++ = (unsigned char)value;
    return destination;
}

int memcmp(const void *left, const void *right, size_t length) {
    const unsigned char *a = left, *b = right;
    for (; length >= 8; length -= 8, a += 8, b += 8) {
        if (*(const unaligned_word *)a != *(const unaligned_word *)b) break;
    }
    for (; length != 0; length--, a++, b++) {
        if (*a != *b) return *a < *b ? -1 : 1;
    }
    return 0;
}

size_t strlen(const char *text) {
    size_t length = 0;
    while (text[length] != 0) length++;
    return length;
}
