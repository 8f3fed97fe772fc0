// The heap's workloads on libpmemobj.
//   pmdk sps|list|chain|tree|fannkuch FILE COUNT
#include "common.h"
#include <libpmemobj.h>
#include <string.h>
#include <unistd.h>

static PMEMobjpool *pool;

typedef struct {
    PMEMoid first, last;
    uint64_t count;
} root_object;

static root_object *root(void) { return pmemobj_direct(pmemobj_root(pool, sizeof(root_object))); }

static void swaps(uint64_t count) {
    const uint64_t length = 1000000;
    root_object *r = root();
    require(pmemobj_zalloc(pool, &r->first, length * 8, 1) == 0, "zalloc");
    uint64_t *data = pmemobj_direct(r->first), state = 42;
    for (uint64_t i = 0; i < length; i++) data[i] = i;
    pmemobj_persist(pool, data, length * 8);
    uint64_t start = nanoseconds();
    for (uint64_t i = 0; i < count; i++) {
        uint64_t *a = data + below(&state, length), *b = data + below(&state, length);
        TX_BEGIN(pool) {
            pmemobj_tx_add_range_direct(a, 8);
            pmemobj_tx_add_range_direct(b, 8);
            uint64_t old = *a;
            *a = *b;
            *b = old;
        } TX_END
    }
    result("sps", count, start);
}

typedef struct {
    uint64_t value;
    PMEMoid next;
} link_object;

static void list(uint64_t count) {
    root_object *r = root();
    uint64_t start = nanoseconds();
    for (uint64_t i = 0; i < count; i++) {
        TX_BEGIN(pool) {
            PMEMoid made = pmemobj_tx_alloc(sizeof(link_object), 2);
            link_object *link = pmemobj_direct(made);
            link->value = i;
            link->next = OID_NULL;
            pmemobj_tx_add_range_direct(&r->last, sizeof(PMEMoid));
            if (OID_IS_NULL(r->last)) {
                pmemobj_tx_add_range_direct(&r->first, sizeof(PMEMoid));
                r->first = made;
            } else {
                link_object *tail = pmemobj_direct(r->last);
                pmemobj_tx_add_range_direct(&tail->next, sizeof(PMEMoid));
                tail->next = made;
            }
            r->last = made;
        } TX_END
    }
    result("list.append", count, start);
    for (int pass = 0; pass < 2; pass++) {
        uint64_t sum = 0;
        start = nanoseconds();
        for (PMEMoid at = r->first; !OID_IS_NULL(at);) {
            link_object *link = pmemobj_direct(at);
            sum += link->value;
            at = link->next;
        }
        require(sum == count * (count - 1) / 2, "list sum");
    }
    result("list.walk", count, start);
}

typedef struct {
    uint64_t key, value;
    PMEMoid next;
} entry_object;

static entry_object *find(PMEMoid *buckets, uint64_t mask, uint64_t key) {
    PMEMoid at = buckets[key & mask];
    while (!OID_IS_NULL(at)) {
        entry_object *entry = pmemobj_direct(at);
        if (entry->key == key) return entry;
        at = entry->next;
    }
    return NULL;
}

static void chains(uint64_t count) {
    root_object *r = root();
    uint64_t size = 1;
    while (size < count) size *= 2;
    require(pmemobj_zalloc(pool, &r->first, size * sizeof(PMEMoid), 3) == 0, "zalloc");
    PMEMoid *buckets = pmemobj_direct(r->first);
    uint64_t start = nanoseconds();
    for (uint64_t i = 0; i < count; i++) {
        uint64_t key = key_of(i);
        require(!find(buckets, size - 1, key), "duplicate");
        TX_BEGIN(pool) {
            PMEMoid made = pmemobj_tx_alloc(sizeof(entry_object), 4);
            entry_object *entry = pmemobj_direct(made);
            PMEMoid *bucket = buckets + (key & (size - 1));
            entry->key = key;
            entry->value = i;
            entry->next = *bucket;
            pmemobj_tx_add_range_direct(bucket, sizeof(PMEMoid));
            *bucket = made;
            pmemobj_tx_add_range_direct(&r->count, 8);
            r->count++;
        } TX_END
    }
    result("chain.insert", count, start);
    uint64_t state = 7, sum = 0;
    start = nanoseconds();
    for (uint64_t i = 0; i < count; i++) sum += find(buckets, size - 1, key_of(below(&state, count)))->value;
    result("chain.lookup", count, start);
    require(sum > 0 && r->count == count, "chain sum");
}

typedef struct {
    PMEMoid left, right;
} tree_object;

static PMEMoid grow(uint64_t depth) {
    PMEMoid made = pmemobj_tx_alloc(sizeof(tree_object), 5);
    tree_object *tree = pmemobj_direct(made);
    tree->left = depth ? grow(depth - 1) : OID_NULL;
    tree->right = depth ? grow(depth - 1) : OID_NULL;
    return made;
}

static void make(PMEMoid *where, uint64_t depth) {
    TX_BEGIN(pool) {
        pmemobj_tx_add_range_direct(where, sizeof(PMEMoid));
        *where = grow(depth);
    } TX_ONABORT { require(0, pmemobj_errormsg()); } TX_END
}

static uint64_t check(PMEMoid at) {
    tree_object *tree = pmemobj_direct(at);
    return OID_IS_NULL(tree->left) ? 1 : 1 + check(tree->left) + check(tree->right);
}

static void fell(PMEMoid at) {
    tree_object *tree = pmemobj_direct(at);
    if (!OID_IS_NULL(tree->left)) {
        fell(tree->left);
        fell(tree->right);
    }
    pmemobj_tx_free(at);
}

static void drop(PMEMoid *where) {
    TX_BEGIN(pool) {
        PMEMoid tree = *where;
        pmemobj_tx_add_range_direct(where, sizeof(PMEMoid));
        *where = OID_NULL;
        fell(tree);
    } TX_END
}

static void trees(uint64_t depth) {
    root_object *r = root();
    uint64_t nodes = 0, start = nanoseconds();
    make(&r->first, depth + 1);
    nodes += check(r->first);
    drop(&r->first);
    make(&r->last, depth);
    for (uint64_t small = 4; small <= depth; small += 2)
        for (uint64_t i = 0; i < (uint64_t)1 << (depth - small + 4); i++) {
            make(&r->first, small);
            nodes += check(r->first);
            drop(&r->first);
        }
    nodes += check(r->last);
    drop(&r->last);
    result("tree", nodes, start);
}

typedef struct {
    uint64_t value;
} card_object;

// References to cards, not numbers: `current` is flipped, `next` is the permutation, `counts` its counters.
typedef struct {
    PMEMoid current[16], next[16];
    uint64_t counts[16];
} deck_object;

static uint64_t first_value(deck_object *deck) { return ((card_object *)pmemobj_direct(deck->current[0]))->value; }

static uint64_t count_flips(deck_object *deck, uint64_t size) {
    memcpy(deck->current, deck->next, size * sizeof(PMEMoid));
    for (uint64_t flips = 0, first;; flips++) {
        if ((first = first_value(deck)) == 0) return flips;
        for (uint64_t place = 0; place < (first + 1) / 2; place++) {
            PMEMoid other = deck->current[place];
            deck->current[place] = deck->current[first - place];
            deck->current[first - place] = other;
        }
    }
}

// Moves `next` on; 0 after the last permutation.
static uint64_t next_permutation(deck_object *deck, uint64_t size) {
    for (uint64_t depth = 1; depth < size; depth++) {
        PMEMoid first = deck->next[0];
        memmove(deck->next, deck->next + 1, depth * sizeof(PMEMoid));
        deck->next[depth] = first;
        if (--deck->counts[depth] > 0) return depth;
    }
    return 0;
}

static void fannkuch(uint64_t size) {
    require(size <= 16, "at most 16 cards");
    root_object *r = root();
    require(pmemobj_zalloc(pool, &r->first, sizeof(deck_object), 6) == 0, "zalloc");
    deck_object *deck = pmemobj_direct(r->first);
    for (uint64_t value = 0; value < size; value++) {
        require(pmemobj_zalloc(pool, deck->next + value, sizeof(card_object), 7) == 0, "zalloc");
        ((card_object *)pmemobj_direct(deck->next[value]))->value = value;
    }
    pmemobj_persist(pool, deck, sizeof *deck);
    uint64_t start = nanoseconds(), index = 0, depth = size;
    int64_t checksum = 0;
    while (depth > 0) {
        uint64_t flips = 0, from = depth;
        TX_BEGIN(pool) {
            pmemobj_tx_add_range_direct(deck->current, size * sizeof(PMEMoid));
            pmemobj_tx_add_range_direct(deck->next, size * sizeof(PMEMoid));
            pmemobj_tx_add_range_direct(deck->counts, size * 8);
            for (; from != 1; from--) deck->counts[from - 1] = from;
            flips = count_flips(deck, size);
            depth = next_permutation(deck, size);
        } TX_END
        checksum += index++ % 2 ? -(int64_t)flips : (int64_t)flips;
    }
    result("fannkuch", index, start);
    require(size != 9 || checksum == 8629, "fannkuch sum");
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    unlink(argv[2]);
    pool = pmemobj_create(argv[2], "heap-bench", (size_t)2 << 30, 0600);
    if (!pool) {
        fprintf(stderr, "create %s: %s\n", argv[2], pmemobj_errormsg());
        return 1;
    }
    uint64_t count = strtoull(argv[3], 0, 10);
    if (strcmp(argv[1], "sps") == 0) swaps(count);
    else if (strcmp(argv[1], "list") == 0) list(count);
    else if (strcmp(argv[1], "chain") == 0) chains(count);
    else if (strcmp(argv[1], "tree") == 0) trees(count);
    else if (strcmp(argv[1], "fannkuch") == 0) fannkuch(count);
    else return 2;
    pmemobj_close(pool);
    unlink(argv[2]);
    return 0;
}
