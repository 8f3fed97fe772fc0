/* takeCheckpoint: quiesceOtherCores, encodeRecords, revokeWrites, commit (flushDirtyPages,
 * publishRings).
 *
 * Two objects: the threads of the two cores. Their state is what their registers hold: a tag (the
 * version in which the thread last ran, 4 bits), then for thread 0 whether it has stored a byte
 * that `local` does not cover yet (bit 4) and how many bytes it has put out (from bit 5), and for
 * thread 1 how many it has taken in (from bit 5).
 */

byte object[OBJECTS];        /* in DRAM: what the kernel holds */
byte dirtyObjects;
byte recordSlot[OBJECTS];    /* the slot of the newest record */
byte commitNewest;           /* MirroredSlots.newest */

bool lock;                   /* the big lock */
bool quiesce;                /* other cores are asked to come in */
bool inUser[2];
bool mustFlush;              /* core 1 drops its old entries before user mode */
bool window;                 /* between revokeWrites and commit */
byte checkpoints;            /* begun so far, over all incarnations */
int  record;                 /* a commit record on its way to or from NVM */

/* Rings in eternal memory: not rolled back by themselves. */
byte localOut, localIn, publishedOut, publishedIn;

/* Specification (ghost) state. */
byte expectedPage[PAGES];    /* what programs see now; 0 = zeros */
byte savedVersion, savedPage[PAGES], savedObject[OBJECTS], savedOut, savedIn, savedByte[RING];
byte newVersion, newPage[PAGES], newObject[OBJECTS], newOut, newIn, newByte[RING];

hidden byte oIndex;

#define OTHER_SLOT(o)  (1 - recordSlot[o])
#define IS_DIRTY(o)    ((dirtyObjects >> (o)) & 1)

inline takeCheckpoint() {
    quiesceOtherCores();
    encodeRecords();
    revokeWrites();
#ifdef BUG_PUBLISH_BEFORE_COMMIT
    d_step { publishedOut = localOut; outside() }
#endif
#ifdef BUG_GIVE_BACK_BEFORE_COMMIT
    d_step { publishedIn = localIn; outside() }
#endif
    commit();
#ifndef BUG_FINISH_DECOMMIT_LATE
    if
    :: deferred != 0 -> finishDecommit(0)
    :: else
    fi;
    d_step { checkInvariants() }
#endif
}

inline quiesceOtherCores() {
    d_step { quiesce = true; checkpoints++; saveRegisters(0) }
#ifndef BUG_NO_QUIESCE
    !inUser[1];
#endif
    d_step { noteExpected() }
}

/* Announce all, fence once; then the payloads. */
inline encodeRecords() {
    atomic {
#ifndef BUG_NO_ANNOUNCE
        announceRecord(0);
        announceRecord(1)
#else
        skip
#endif
    }
    atomic {
        fence();
        writeRecord(0);
        writeRecord(1)
    }
}

#ifdef BUG_RECORD_OVER_NEWEST
#define TARGET_SLOT(o) recordSlot[o]
#else
#define TARGET_SLOT(o) OTHER_SLOT(o)
#endif

inline announceRecord(o) {
    if :: IS_DIRTY(o) -> storeWord(RBORN(o, TARGET_SLOT(o)), building) :: else fi
}

inline writeRecord(o) {
    if
    :: IS_DIRTY(o) ->
#ifdef BUG_NO_ANNOUNCE
        storeWord(RBORN(o, TARGET_SLOT(o)), building);
#endif
#ifdef BUG_FORGET_DIRTY_OBJECT
        if
        :: dirtyObjects == 3 && o == 1
        :: else -> storeBlock(PAYLOAD(o, TARGET_SLOT(o)), object[o])
        fi;
#else
        storeBlock(PAYLOAD(o, TARGET_SLOT(o)), object[o]);
#endif
        flushBlock(PAYLOAD(o, TARGET_SLOT(o)))
    :: else
    fi
}

/* Every writable entry becomes read-only. The other core drops its old entries before it runs user
 * code again. */
inline revokeWrites() {
    d_step {
        staleTable = pageTable;
        pageTable = 0;
#ifndef BUG_NO_TLB_FLUSH
        mustFlush = true;
#endif
        window = true
    }
}

inline flushDirtyPages() {
    fIndex = 1;
    do
    :: fIndex <= FRAMES ->
        if :: (dirtyFrames >> (fIndex - 1)) & 1 -> flushBlock(CONTENT(fIndex)) :: else fi;
        fIndex++
    :: else -> break
    od;
    fIndex = 0
}

/* Ring bytes may have been stored where `local` does not reach yet, by a thread that will only
 * move `local`. */
inline flushRings() {
    oIndex = 0;
    do
#ifdef BUG_FLUSH_RING_TO_LOCAL
    :: oIndex < localOut ->
#else
    :: oIndex < RING ->
#endif
        flushBlock(OUTPUT(oIndex)); oIndex++
    :: else -> break
    od;
    oIndex = 0
}

#define OLDER_COMMIT  (1 - commitNewest)

inline commit() {
    d_step {
        flushDirtyPages();
        flushRings();
#ifndef BUG_COMMIT_NOT_FENCED
        fence();
#endif
        record = promised;
        subtractReleased(0, record);
        subtractReleased(1, record);
        record = COMMIT_RECORD(building, localOut, localIn, record);
        storeSlot(COMMIT(OLDER_COMMIT, 0), record);
#ifdef BUG_COPIES_NOT_FENCED
        storeSlot(COMMIT(OLDER_COMMIT, 1), record);
#endif
        record = 0
    }
    /* The commit point: the first copy is durable. */
    d_step {
        fence();
        noteCommitted();
        window = false;
        storeSlot(COMMIT(OLDER_COMMIT, 1), slotC[COMMIT(OLDER_COMMIT, 0)])
    }
    d_step {
        commitNewest = OLDER_COMMIT;
        if :: IS_DIRTY(0) -> recordSlot[0] = TARGET_SLOT(0) :: else fi;
        if :: IS_DIRTY(1) -> recordSlot[1] = TARGET_SLOT(1) :: else fi;
        committed = building;
        building++;
        dirtyFrames = 0;
        dirtyObjects = 0;
        publishRings();
        outside()
    }
}

/* What was recorded becomes visible outside. The pointers need no fence: a restore sets them
 * again. */
inline publishRings() {
    publishedOut = RECORDED_OUT(slotC[COMMIT(commitNewest, 0)]);
    publishedIn = RECORDED_IN(slotC[COMMIT(commitNewest, 0)])
}

/* Ghost: what the version in the making will have to restore. */
inline noteExpected() {
    newVersion = building;
    newPage[0] = expectedPage[0]; newPage[1] = expectedPage[1];
    newObject[0] = object[0]; newObject[1] = object[1];
    newOut = localOut; newIn = localIn;
    oIndex = 0;
    do
    :: oIndex < localOut + (object[0] >> 4 & 1) ->
        newByte[oIndex] = blockC[OUTPUT(oIndex)];
        oIndex++
    :: else -> break
    od;
    oIndex = 0
}

/* Ghost: the version in the making is the one to restore from now on. */
inline noteCommitted() {
    savedVersion = newVersion;
    savedPage[0] = newPage[0]; savedPage[1] = newPage[1];
    savedObject[0] = newObject[0]; savedObject[1] = newObject[1];
    savedOut = newOut; savedIn = newIn;
    oIndex = 0;
    do :: oIndex < RING -> savedByte[oIndex] = newByte[oIndex]; oIndex++ :: else -> break od;
    forgetExpected()
}

inline forgetExpected() {
    newVersion = 0; newOut = 0; newIn = 0;
    newPage[0] = 0; newPage[1] = 0; newObject[0] = 0; newObject[1] = 0;
    oIndex = 0;
    do :: oIndex < RING -> newByte[oIndex] = 0; oIndex++ :: else -> break od;
    oIndex = 0
}

/* Invariants: promises add up; once the stamps were looked through, every frame is free or
 * referred to, not both. */
inline checkInvariants() {
    fFound = 0;
    countPromised(0);
    countPromised(1);
    assert(promised == fFound);
    fIndex = 1;
    do
    :: scanned && fIndex <= FRAMES ->
        isReferenced(fIndex);
        assert(ON_STACK(fIndex) != result);
        fIndex++
    :: else -> break
    od
}

inline countPromised(p) {
    restoreChoice(p, building);
    if :: choice != 2 && wordC[FRAME(p, choice)] != 0 -> fFound = fFound + 2 :: else fi
}
