// What the hardware asks of an undo log: three fences a transaction, no checks, no allocator.
//   floor sps|list FILE COUNT
#include "common.h"
#include <fcntl.h>
#include <immintrin.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

// One log line: two old words, valid when its generation is the pool's.
typedef struct {
    uint64_t generation, *where[2], old[2], unused[3];
} log_line;

typedef struct {
    log_line log;
    uint64_t generation, unused0[7];
    uint64_t head, tail, unused1[6];
    uint64_t data[];
} pool;

static void begin(pool *p, uint64_t *a, uint64_t *b) {
    p->log.where[0] = a;
    p->log.where[1] = b;
    p->log.old[0] = *a;
    p->log.old[1] = *b;
    __asm__ volatile("" ::: "memory");  // the generation last: a torn line is not valid
    p->log.generation = p->generation;
    _mm_clwb(&p->log);
    _mm_sfence();
}

static void commit(pool *p) {
    _mm_sfence();
    p->generation++;
    _mm_clwb(&p->generation);
    _mm_sfence();
}

static void swaps(pool *p, uint64_t count) {
    const uint64_t length = 1000000;
    for (uint64_t i = 0; i < length; i++) p->data[i] = i;
    uint64_t state = 42, start = nanoseconds();
    for (uint64_t i = 0; i < count; i++) {
        uint64_t *a = p->data + below(&state, length), *b = p->data + below(&state, length);
        begin(p, a, b);
        uint64_t old = *a;
        *a = *b;
        *b = old;
        _mm_clwb(a);
        _mm_clwb(b);
        commit(p);
    }
    result("sps", count, start);
}

static void list(pool *p, uint64_t count) {
    uint64_t nothing = 0, start = nanoseconds();
    for (uint64_t i = 0; i < count; i++) {
        uint64_t *node = p->data + 2 * i, *tail = (uint64_t *)p->tail;
        node[0] = i;
        node[1] = 0;
        _mm_clwb(node);
        begin(p, tail ? tail + 1 : &nothing, &p->tail);
        if (tail) {
            tail[1] = (uint64_t)node;
            _mm_clwb(tail);
        } else {
            p->head = (uint64_t)node;
        }
        p->tail = (uint64_t)node;
        _mm_clwb(&p->tail);
        commit(p);
    }
    result("list.append", count, start);
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    const size_t size = (size_t)1 << 28;
    int file = open(argv[2], O_RDWR | O_CREAT | O_TRUNC, 0600);
    require(file >= 0 && ftruncate(file, (off_t)size) == 0, argv[2]);
    pool *p = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    require(p != MAP_FAILED, "mmap");
    unlink(argv[2]);
    p->generation = 1;
    if (strcmp(argv[1], "sps") == 0) swaps(p, strtoull(argv[3], 0, 10));
    else list(p, strtoull(argv[3], 0, 10));
    return 0;
}
