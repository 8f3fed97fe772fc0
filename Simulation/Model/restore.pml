/* restore: openCommit, openHistory, repair, beginIncarnation, then the rings and the objects. Run
 * by core 0 alone.
 *
 * Pages are not touched: entries with an aborted version simply do not count any more.
 */

byte incarnation, historyNewest;
byte lowest, firstBuilding;
int  past;                   /* the history that was found */

inline restore() {
    d_step {
        openSlots(COMMIT(0, 0), record, commitNewest);
        openSlots(HISTORY(0, 0), past, historyNewest);
        committed = SEQUENCE(record);
        promised = RECORDED_PROMISED(record);
        incarnation = SEQUENCE(past);
        aborted = ABORTED(past);
        firstBuilding = (past == 0 -> 1 : FIRST_BUILDING(past));
        past = 0;
        checkFresh()
    }
    if
    :: SLOT_WORN(COMMIT(0, 0)) || SLOT_WORN(COMMIT(1, 0)) ||
        SLOT_WORN(HISTORY(0, 0)) || SLOT_WORN(HISTORY(1, 0)) -> repair()
    :: else
    fi;
    beginIncarnation();
    d_step { running = true; inUser[0] = true; inUser[1] = true }
}

inline repair() {
    d_step {
#ifdef BUG_NO_REPAIR
        skip
#else
        repairSlot(COMMIT(0, 0)); repairSlot(COMMIT(1, 0));
        repairSlot(HISTORY(0, 0)); repairSlot(HISTORY(1, 0));
        slotZero = 0
#endif
    }
    d_step { fence() }
}

/* History.abort(above:), then durably written before any word is stamped with the new version. */
inline beginIncarnation() {
    d_step {
        lowest = committed + 1;
#ifdef BUG_ABORT_ONLY_NEXT
        firstBuilding = lowest;
#else
        firstBuilding = (lowest > firstBuilding -> lowest : firstBuilding);
#endif
        do
        :: lowest <= firstBuilding -> aborted = aborted | (1 << lowest); lowest++
        :: else -> break
        od;
#ifdef BUG_VERSION_USED_AGAIN
        aborted = 0;
        firstBuilding = committed;
#endif
        lowest = 0;
        firstBuilding++;
        incarnation++;
        storeSlot(HISTORY(1 - historyNewest, 0),
            HISTORY_RECORD(incarnation, firstBuilding, aborted));
#ifdef BUG_HISTORY_NOT_FLUSHED
        slotF = 0
#endif
    }
    d_step {
        fence();
        storeSlot(HISTORY(1 - historyNewest, 1), slotC[HISTORY(1 - historyNewest, 0)]);
#ifdef BUG_HISTORY_NOT_FLUSHED
        slotF = 0;
#endif
    }
    d_step {
        fence();
        historyNewest = 1 - historyNewest;
        building = firstBuilding;
        firstBuilding = 0;
        resetRings();
        record = 0;
        outside();
        openObjects();
        checkRestored();
        checkInvariants()
    }
}

inline resetRings() {
#ifndef BUG_RING_NOT_RESET
    localOut = RECORDED_OUT(record); localIn = RECORDED_IN(record);
#endif
    publishedOut = localOut; publishedIn = localIn
}

/* Invariant: a crash alone never makes a record fail its checksum, be it the newest or the one
 * before. */
inline checkRecord(o, s) {
    assert(VALID_BORN(wordC[RBORN(o, s)], committed) == 0 || blockC[PAYLOAD(o, s)] != TORN)
}

inline openObjects() {
    oIndex = 0;
    do
    :: oIndex < OBJECTS ->
        recordSlot[oIndex] = (VALID_BORN(wordC[RBORN(oIndex, 0)], committed) >=
            VALID_BORN(wordC[RBORN(oIndex, 1)], committed) -> 0 : 1);
        object[oIndex] = blockC[PAYLOAD(oIndex, recordSlot[oIndex])];
        checkRecord(oIndex, 0);
        checkRecord(oIndex, 1);
        oIndex++
    :: else -> break
    od;
    oIndex = 0
}

/* Invariant: G is the last completed version, or the one whose commit record was being written. */
inline checkFresh() {
    if
    :: committed != savedVersion ->
        assert(newVersion != 0 && committed == newVersion);
        noteCommitted()
    :: else -> forgetExpected()
    fi
}

inline checkContent(p, limit) {
    restoreChoice(p, limit);
    if
    :: choice == 2 -> assert(savedPage[p] == 0)
    :: choice != 2 && wordC[FRAME(p, choice)] == 0 -> assert(savedPage[p] == 0)
    :: else -> assert(blockC[CONTENT(wordC[FRAME(p, choice)])] == savedPage[p])
    fi
}

/* Invariants: all objects and pages are those of G; what was seen outside is what G has put out,
 * and what was not is still there; input that G has not consumed was not overwritten. */
inline checkRestored() {
    oIndex = 0;
    do
    :: oIndex < OBJECTS -> assert(object[oIndex] == savedObject[oIndex]); oIndex++
    :: else -> break
    od;
    oIndex = 0;
    do
    :: oIndex < PAGES ->
        checkContent(oIndex, committed);
        checkContent(oIndex, building);
        expectedPage[oIndex] = savedPage[oIndex];
        oIndex++
    :: else -> break
    od;
    oIndex = 0;
    do
    :: oIndex < RING ->
        assert(savedByte[oIndex] == 0 || blockC[OUTPUT(oIndex)] == savedByte[oIndex]);
        oIndex++
    :: else -> break
    od;
    oIndex = 0;
    assert(localOut == savedOut && localIn == savedIn);
    assert(localOut == object[0] >> 5 && localIn == object[1] >> 5);
    assert(seen <= localOut);
    assert(arrived <= localIn + 1)
}
