/* Page pairs and the frame allocator: restoreChoice, makeWritable, addPage, decommit,
 * finishDecommit, takeFrame.
 *
 * The kernel's big lock is held by the core that runs any of these. `;`-separated atomic and
 * d_step blocks are the steps between which the other core runs and the power may fail.
 */

byte building;               /* the version being built */
byte committed;              /* the version the last commit record says */
int  aborted;                /* history: bit v = version v was aborted */
byte freeFrames;             /* bit f-1 = frame f is on the free stack */
bool scanned;                /* the stamps were looked through in this incarnation */
byte promised;               /* frames in use or promised as backups */
byte dirtyFrames;            /* frames written in this version, to be flushed */
byte deferred;               /* pages for finishDecommit after the commit */

/* Translations: bit p = page p is mapped writable. */
byte pageTable, staleTable;   /* staleTable: entries that core 1 may still hold */
byte mappedFrame[PAGES];

/* Registers of the core in the kernel; 0 outside. */
byte kPage, kChoice, kFrame;
/* Scratch of single steps. */
hidden byte bornZero, bornOne, choice, fIndex, fFound, pIndex;
hidden byte result;

#define ON_STACK(f)           ((freeFrames >> ((f) - 1)) & 1)
#define MASK(p)               (1 << (p))
#define FULL                  255               /* kFrame: there is no frame */
#define IS_DEFERRED(p)        ((deferred >> (p)) & 1)
#define VALID_BORN(v, limit)  (((v) <= (limit) && !((aborted >> (v)) & 1)) -> (v) : 0)
#define IS_VALID(p, e) \
    (wordC[FRAME(p, e)] != 0 && VALID_BORN(wordC[BORN(p, e)], building) != 0)

/* Which entry holds the page at `limit`: 0 or 1, or 2 when the page does not exist there. Sets
 * `choice`. */
inline restoreChoice(p, limit) {
    bornZero = VALID_BORN(wordC[BORN(p, 0)], limit);
    bornOne = VALID_BORN(wordC[BORN(p, 1)], limit);
    if
    :: bornZero == 0 && bornOne == 0 -> choice = 2
    :: else -> choice = (bornZero >= bornOne -> 0 : 1)
    fi
}

/* Whether a pair needs a frame: its newest content, or the other copy unless a committed hole
 * hides it. */
inline isLive(f, p) {
    restoreChoice(p, building);
    if
    :: choice == 2 -> result = false
    :: choice != 2 && wordC[FRAME(p, choice)] == f -> result = true
    :: else ->
        result = wordC[FRAME(p, 1 - choice)] == f && IS_VALID(p, 1 - choice) &&
            !(wordC[FRAME(p, choice)] == 0 && wordC[BORN(p, choice)] <= committed)
    fi
}

/* Whether the page that a frame's stamp names still refers to the frame. */
inline isReferenced(f) {
    result = false;
    if
    :: wordC[STAMP(f)] != 0 -> pIndex = wordC[STAMP(f)] - 1; isLive(f, pIndex)
    :: else
    fi
}

/* The specification, which looks at no stamp: no page needs the frame now or at the committed
 * version. */
inline assertNotNeeded(f) {
    pIndex = 0;
    do
    :: pIndex < PAGES ->
        restoreChoice(pIndex, committed);
        assert(choice == 2 || wordC[FRAME(pIndex, choice)] != f);
        restoreChoice(pIndex, building);
        assert(choice == 2 || wordC[FRAME(pIndex, choice)] != f);
        pIndex++
    :: else -> break
    od
}

/* Invariant: no frame is freed twice or while it is needed. */
inline free(f) {
    assert(!ON_STACK(f));
    assertNotNeeded(f);
    if :: scanned -> freeFrames = freeFrames | (1 << ((f) - 1)) :: else fi
}

inline scanStamps() {
    fIndex = 1;
    do
    :: fIndex <= FRAMES ->
        isReferenced(fIndex);
        if :: !result -> freeFrames = freeFrames | (1 << (fIndex - 1)) :: else fi;
        fIndex++
    :: else -> break
    od;
    scanned = true
}

/* Hands out a frame in kFrame and stamps it (flushed, not fenced). Invariants: what was promised
 * is there; no frame is both live and reused. */
inline takeFrame(p) {
    d_step { findFrame() }
    storeWord(STAMP(kFrame), (p) + 1)
}

inline findFrame() {
    if :: freeFrames == 0 && !scanned -> scanStamps() :: else fi;
    assert(freeFrames != 0);
    fFound = 1;
    do :: !ON_STACK(fFound) -> fFound++ :: else -> break od;
    freeFrames = freeFrames & ~(1 << (fFound - 1));
    assertNotNeeded(fFound);
    kFrame = fFound
}

inline noteDirty(f) { dirtyFrames = dirtyFrames | (1 << ((f) - 1)) }

/* Maps the page's frame, in entry kChoice, writable. Invariant: only what was born in the building
 * version is. */
inline install(p) {
    assert(wordC[BORN(p, kChoice)] == building);
    mappedFrame[p] = wordC[FRAME(p, kChoice)];
    pageTable = pageTable | MASK(p)
}

/* The gate of every write to a page. Leaves the page unmapped when the store is full. */
inline makeWritable(p) {
    d_step { restoreChoice(p, building); kChoice = choice }
    if
    :: kChoice != 2 && wordC[FRAME(p, kChoice)] != 0 -> copyOnWrite(p)
    :: else -> addPage(p)
    fi;
    d_step { if :: kFrame != FULL -> install(p) :: else fi; kChoice = 0; kFrame = 0 }
}

/* copyFrame; other.born := newest.born; newest.born := building: each durable before the next. */
inline copyOnWrite(p) {
    if
    :: wordC[BORN(p, kChoice)] == building
    :: else ->
        if
        :: IS_VALID(p, 1 - kChoice) -> skip
        :: else ->
            atomic { takeFrame(p) }
            atomic {
#ifdef BUG_STAMP_NOT_FLUSHED
                wordF = 0;
#endif
                fence();
                storeWord(FRAME(p, 1 - kChoice), kFrame)
            }
        fi;
        d_step {
            kFrame = wordC[FRAME(p, 1 - kChoice)];
            /* Invariant: the content that the kernel finds is the page's content. */
            assert(blockC[CONTENT(wordC[FRAME(p, kChoice)])] == expectedPage[p]);
            storeBlock(CONTENT(kFrame), blockC[CONTENT(wordC[FRAME(p, kChoice)])]);
#ifndef BUG_COPY_NOT_FLUSHED
            flushBlock(CONTENT(kFrame))
#endif
        }
        atomic { fence(); storeWord(BORN(p, 1 - kChoice), wordC[BORN(p, kChoice)]) }
        atomic {
#ifndef BUG_BORN_NOT_FENCED
            fence();
#endif
            storeWord(BORN(p, kChoice), building)
        }
        d_step { fence(); noteDirty(wordC[FRAME(p, kChoice)]) }
    fi
}

/* A page that does not exist gets a zeroed frame: in the place of a hole of the same version, else
 * in the entry that the committed version does not need. */
inline addPage(p) {
    if
    :: kChoice != 2 && wordC[BORN(p, kChoice)] == building ->
        atomic {
            if
            :: IS_VALID(p, 1 - kChoice) -> promise(p, 1)
            :: else -> promise(p, 2)
            fi
        }
        if
        :: kFrame != FULL ->
            atomic { fence(); storeWord(FRAME(p, kChoice), kFrame); noteDirty(kFrame) }
        :: else
        fi
    :: else ->
        atomic {
            kChoice = (kChoice == 2 -> 0 : 1 - kChoice);
            promise(p, 2)
        }
        if :: kFrame != FULL -> fillEntry(p) :: else fi
    fi
}

/* Takes a zeroed frame and counts it, and its backup, against the store; FULL if they are not
 * there. */
inline promise(p, frames) {
    if
    :: FRAMES - promised >= frames ->
        promised = promised + frames;
        takeFrame(p);
        storeBlock(CONTENT(kFrame), 0);
        flushBlock(CONTENT(kFrame))
    :: else -> kFrame = FULL
    fi
}

inline fillEntry(p) {
    atomic {
        fence();
        if
        :: VALID_BORN(wordC[BORN(p, kChoice)], building) != 0 -> storeWord(BORN(p, kChoice), 0)
        :: else
        fi
    }
    atomic { fence(); storeWord(FRAME(p, kChoice), kFrame) }
    atomic { fence(); storeWord(BORN(p, kChoice), building); noteDirty(kFrame) }
}
