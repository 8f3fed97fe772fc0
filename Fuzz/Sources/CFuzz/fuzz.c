#include "fuzz.h"
#include <stdlib.h>

// What is fuzzed of the Linux server stands above its native calls and makes none.
int64_t evertree_native_call(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e, uint64_t f) {
    abort();
}

int64_t evertree_start_server_thread(void (*run)(uint64_t argument), uint64_t argument) { abort(); }
