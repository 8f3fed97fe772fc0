/* MirroredSlots: two slots of two copies, for the commit record and the history.
 *
 * A copy is 0 (never written), BAD, or a packed value whose lowest bits are the sequence: the
 * version for the commit record, the incarnation for the history. Values grow with their sequence,
 * so the newest is the largest.
 *
 *   commit record: version 4 bits | ring output 3 | ring input 3 | promised frames 4
 *   history:       incarnation 4 bits | first building version 4 | aborted versions, one bit
 *          each, 16
 */
#define COMMIT_RECORD(v, o, i, p)  ((v) | (o) << 4 | (i) << 7 | (p) << 10)
#define HISTORY_RECORD(n, f, a)    ((n) | (f) << 4 | (a) << 8)
#define SEQUENCE(x)                ((x) & 15)
#define RECORDED_OUT(x)            ((x) >> 4 & 7)
#define RECORDED_IN(x)             ((x) >> 7 & 7)
#define RECORDED_PROMISED(x)       ((x) >> 10 & 15)
#define FIRST_BUILDING(x)          ((x) >> 4 & 15)
#define ABORTED(x)                 ((x) >> 8 & 65535)

#define GOOD(x)  ((x) > 0)

/* What a slot holds: the better of its copies, 0 if never written whole. */
#define SLOT_VALUE(a, b) \
    ((GOOD(a) && GOOD(b)) -> (SEQUENCE(a) >= SEQUENCE(b) -> (a) : (b)) : \
     (GOOD(a) -> (a) : (GOOD(b) -> (b) : 0)))
/* Neither copy is good though the slot was written: the store would be refused. */
#define SLOT_DAMAGED(a, b)  (!GOOD(a) && (b) == BAD)

hidden int slotZero, slotOne;

/* Finds the newest value of the four copies from `base` on. Invariant: crashes alone never damage
 * a slot. */
inline openSlots(base, value, newest) {
    assert(!SLOT_DAMAGED(slotC[base], slotC[base + 1]));
    assert(!SLOT_DAMAGED(slotC[base + 2], slotC[base + 3]));
    slotZero = SLOT_VALUE(slotC[base], slotC[base + 1]);
    slotOne = SLOT_VALUE(slotC[base + 2], slotC[base + 3]);
    if
    :: SEQUENCE(slotZero) >= SEQUENCE(slotOne) -> value = slotZero; newest = 0
    :: else -> value = slotOne; newest = 1
    fi;
    slotZero = 0; slotOne = 0
}

/* The two copies of a slot are made equal again: else the next write of the slot might begin with
 * its only good copy. Ends with the copies flushed, not fenced. */
#define SLOT_WORN(first) \
    (slotC[first] != slotC[(first) + 1] && (GOOD(slotC[first]) || GOOD(slotC[(first) + 1])))

inline repairSlot(first) {
    if
    :: SLOT_WORN(first) ->
        slotZero = SLOT_VALUE(slotC[first], slotC[first + 1]);
        if
        :: slotC[first] == slotZero -> storeSlot(first + 1, slotZero)
        :: else -> storeSlot(first, slotZero)
        fi
    :: else
    fi
}
