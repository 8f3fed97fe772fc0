/* Decommit: a page reads as zeros from the building version on; its frame is kept until that
 * version is committed. */

/* Removes the page's translation on every core. */
inline removeTranslation(p) {
    pageTable = pageTable & ~MASK(p);
    staleTable = staleTable & ~MASK(p);
    mappedFrame[p] = 0
}

inline decommit(p) {
    d_step { decommits++; restoreChoice(p, building); kChoice = choice }
    if
    :: kChoice != 2 && wordC[FRAME(p, kChoice)] != 0 ->
        d_step { removeTranslation(p) }
        if
        :: wordC[BORN(p, kChoice)] == building -> makeHoleInPlace(p)
        :: else -> makeHoleBesides(p)
        fi
    :: else
    fi;
    d_step { kChoice = 0; kFrame = 0 }
}

/* The frame was born in this version: it can go at once. The committed content, if there is any,
 * is in the other. */
inline makeHoleInPlace(p) {
    atomic {
        kFrame = wordC[FRAME(p, kChoice)];
        storeWord(FRAME(p, kChoice), 0);
        expectedPage[p] = 0
    }
    d_step {
        fence();
        free(kFrame);
        if
        :: IS_VALID(p, 1 - kChoice) -> promised--; deferred = deferred | MASK(p)
        :: else -> promised = promised - 2
        fi
    }
}

/* The committed content stays where it is; the other entry becomes the hole. */
inline makeHoleBesides(p) {
    atomic {
        kFrame = (IS_VALID(p, 1 - kChoice) -> wordC[FRAME(p, 1 - kChoice)] : 0);
        storeWord(FRAME(p, 1 - kChoice), 0)
    }
    atomic { fence(); storeWord(BORN(p, 1 - kChoice), building); expectedPage[p] = 0 }
    d_step {
        fence();
        if :: kFrame != 0 -> free(kFrame) :: else fi;
        promised--;
        deferred = deferred | MASK(p)
    }
#ifdef BUG_FREE_BEFORE_COMMIT
    d_step { free(wordC[FRAME(p, kChoice)]) }
#endif
}

/* How many promised frames `finishDecommit` will give back: known before the commit, whose record
 * says it. */
inline subtractReleased(p, count) {
    if
    :: IS_DEFERRED(p) ->
        restoreChoice(p, building);
        if
        :: choice != 2 && wordC[FRAME(p, choice)] == 0 && IS_VALID(p, 1 - choice) -> count--
        :: else
        fi
    :: else
    fi
}

/* After the commit of a hole: frees the frame that held the page before. */
inline finishDecommit(p) {
    d_step { restoreChoice(p, committed); kChoice = choice }
    if
    :: IS_DEFERRED(p) && kChoice != 2 && wordC[FRAME(p, kChoice)] == 0 &&
        IS_VALID(p, 1 - kChoice) ->
        atomic { kFrame = wordC[FRAME(p, 1 - kChoice)]; storeWord(BORN(p, 1 - kChoice), 0) }
        atomic { fence(); storeWord(FRAME(p, 1 - kChoice), 0) }
        d_step { fence(); free(kFrame); promised-- }
    :: else
    fi;
    d_step { deferred = deferred & ~MASK(p); kChoice = 0; kFrame = 0 }
}
