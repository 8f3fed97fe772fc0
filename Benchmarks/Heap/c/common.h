// Shared by the C programs that the heap is measured beside: clock, random stream, result line.
// The streams are those of the Swift programs (splitmix64; multiply-high), so all do the same work.
#pragma once
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

// HEAP_BENCH_CLOCK=cpu: the process's own time, which a busy machine disturbs less.
static uint64_t nanoseconds(void) {
    static clockid_t which = -1;
    if (which == -1) which = getenv("HEAP_BENCH_CLOCK") ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC;
    struct timespec now;
    clock_gettime(which, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void result(const char *metric, uint64_t count, uint64_t start) {
    printf("%s\t%lu\t%lu\n", metric, count, nanoseconds() - start);
}

static void require(int condition, const char *what) {
    if (condition) return;
    perror(what);
    exit(1);
}

static inline uint64_t next_random(uint64_t *state) {
    *state += 0x9E3779B97F4A7C15u;
    uint64_t z = *state;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

static inline uint64_t below(uint64_t *state, uint64_t n) {
    return (uint64_t)((unsigned __int128)next_random(state) * n >> 64);
}

static inline uint64_t key_of(uint64_t index) {
    uint64_t state = index * 0x9E3779B97F4A7C15u;
    return next_random(&state);
}
