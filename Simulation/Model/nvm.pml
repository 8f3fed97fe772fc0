/* NVM behind a write-back cache.
 *
 * Each cell has a cached value (xC), a durable value (xD) and a mark "flushed" (bit of xF). A
 * fence makes what was flushed durable. At a power cut an unfenced cell keeps its old or its new
 * value, each cell by itself: more hostile than a machine, which loses whole cache lines. Three
 * kinds of cell:
 *
 *   word   one atomic 8-byte store: a version or a frame number. At a cut: old or new.
 *   block  many words that steer nothing (page content, record payload, ring bytes): at a cut
 *          TORN, which no check accepts, so that TORN stands for every mixture of old and new.
 *   slot   a checksummed copy that restore decides by: at a cut old, new, or BAD (checksum fails).
 *
 * A second store to a word that is still unfenced first lets the cache write the earlier value
 * back, or not.
 */

#define PAGES   2
#define OBJECTS 2
#ifndef FRAMES
#define FRAMES  4            /* numbers 1...4; 0 is "no frame" */
#endif
#define RING    2            /* bytes the output ring takes in the life of the system */

/* Words. */
#define BORN(p, e)     ((p) * 4 + (e) * 2)
#define FRAME(p, e)    ((p) * 4 + (e) * 2 + 1)
#define STAMP(f)       (7 + (f))                    /* 0 blank, else page + 1 */
#define RBORN(o, s)    (12 + (o) * 2 + (s))
#define WORDS          16
/* Blocks. */
#define CONTENT(f)     ((f) - 1)
#define PAYLOAD(o, s)  (FRAMES + (o) * 2 + (s))
#define OUTPUT(i)      (FRAMES + 4 + (i))
#define BLOCKS         (FRAMES + 4 + RING)
/* Slots: two slots of two copies each. */
#define COMMIT(s, k)   ((s) * 2 + (k))
#define HISTORY(s, k)  (4 + (s) * 2 + (k))
#define SLOTS          8

#define TORN 255
#define BAD  -1

byte wordC[WORDS], wordD[WORDS];
byte blockC[BLOCKS], blockD[BLOCKS];
int  slotC[SLOTS], slotD[SLOTS];
int  wordF, blockF, slotF;

/* Scratch of single steps; not hidden where the cache chooses, because Spin does not restore a
 * hidden variable. */
hidden byte nvmIndex;
byte cutIndex;

/* A store to a word and the start of its write-back. Not for use in a d_step: the cache may
 * choose. */
inline storeWord(i, value) {
    if
    :: wordC[i] != wordD[i] -> wordD[i] = wordC[i]
    :: true
    fi;
    wordC[i] = value;
    wordF = wordF | (1 << (i))
}

/* A store to a block, not flushed. Torn for sure at a cut if it was dirty before. */
inline storeBlock(i, value) {
    if
    :: blockC[i] != blockD[i] -> blockD[i] = TORN
    :: else
    fi;
    blockC[i] = value;
    blockF = blockF & ~(1 << (i))
}

inline flushBlock(i) { blockF = blockF | (1 << (i)) }

inline storeSlot(i, value) {
    slotC[i] = value;
    slotF = slotF | (1 << (i))
}

/* All that was flushed is durable. For use inside a d_step or atomic step. */
inline fence() {
    nvmIndex = 0;
    do
    :: nvmIndex < WORDS ->
        if :: (wordF >> nvmIndex) & 1 -> wordD[nvmIndex] = wordC[nvmIndex] :: else fi;
        nvmIndex++
    :: else -> break
    od;
    nvmIndex = 0;
    do
    :: nvmIndex < BLOCKS ->
        if :: (blockF >> nvmIndex) & 1 -> blockD[nvmIndex] = blockC[nvmIndex] :: else fi;
        nvmIndex++
    :: else -> break
    od;
    nvmIndex = 0;
    do
    :: nvmIndex < SLOTS ->
        if :: (slotF >> nvmIndex) & 1 -> slotD[nvmIndex] = slotC[nvmIndex] :: else fi;
        nvmIndex++
    :: else -> break
    od;
    wordF = 0; blockF = 0; slotF = 0
}

#define WORD_LOST   (wordC[cutIndex] != wordD[cutIndex])
#define SLOT_LOST   (slotC[cutIndex] != slotD[cutIndex])

/* The power cut: what the medium holds. Inside an atomic step. */
inline loseCache() {
    d_step { tearBlocks() }
    do
    :: cutIndex < WORDS && WORD_LOST -> wordC[cutIndex] = wordD[cutIndex]
    :: cutIndex < WORDS && WORD_LOST -> wordD[cutIndex] = wordC[cutIndex]
    :: cutIndex < WORDS && !WORD_LOST ->
        d_step { do :: cutIndex < WORDS && !WORD_LOST -> cutIndex++ :: else -> break od; skip }
    :: cutIndex >= WORDS -> break
    od;
    cutIndex = 0;
    do
    :: cutIndex < SLOTS && SLOT_LOST -> slotC[cutIndex] = slotD[cutIndex]
    :: cutIndex < SLOTS && SLOT_LOST -> slotD[cutIndex] = slotC[cutIndex]
    :: cutIndex < SLOTS && SLOT_LOST -> slotC[cutIndex] = BAD; slotD[cutIndex] = BAD
    :: cutIndex < SLOTS && !SLOT_LOST ->
        d_step { do :: cutIndex < SLOTS && !SLOT_LOST -> cutIndex++ :: else -> break od; skip }
    :: cutIndex >= SLOTS -> break
    od;
    cutIndex = 0; wordF = 0; blockF = 0; slotF = 0
}

inline tearBlocks() {
    nvmIndex = 0;
    do
    :: nvmIndex < BLOCKS ->
        if
        :: blockC[nvmIndex] != blockD[nvmIndex] -> blockC[nvmIndex] = TORN; blockD[nvmIndex] = TORN
        :: else
        fi;
        nvmIndex++
    :: else -> break
    od;
    nvmIndex = 0
}
