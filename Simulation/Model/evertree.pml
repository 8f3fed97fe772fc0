/* Evertree's checkpoint, commit and restore, for exhaustive search with Spin. See README.md.
 *
 * Two cores run user steps and the kernel; the outside reads output and writes input; the power
 * may fail between any two steps, in a restore too. Bounds, over the whole life of the store:
 * CRASHES power cuts, CHECKPOINTS checkpoints begun, DECOMMITS pages given back, OUTPUTS and INPUTS
 * bytes through the rings. WRITES=0 leaves the pages alone. ABSENT: page 1 does not exist at first.
 * FRAMES: how many frames there are.
 */
#ifndef CRASHES
#define CRASHES 2
#endif
#ifndef CHECKPOINTS
#define CHECKPOINTS 2
#endif
#ifndef WRITES
#define WRITES 1
#endif
#ifndef DECOMMITS
#define DECOMMITS 1
#endif
#ifndef OUTPUTS
#define OUTPUTS 2
#endif
#ifndef INPUTS
#define INPUTS 2
#endif

byte seen;                   /* bytes of output read outside */
byte arrived;                /* bytes of input written from outside, into a ring of one byte */

#include "nvm.pml"
#include "slots.pml"
#include "pages.pml"
#include "decommit.pml"
#include "checkpoint.pml"
#include "restore.pml"

bool power, running;
byte crashes, decommits;

/* Core 0 leads every checkpoint and drops its own old entries; only core 1 can hold stale ones. */
#define CAN_WRITE(me, p)  (((pageTable | staleTable * (me)) >> (p)) & 1)
/* User steps commute with kernel steps on the other core, except those of a checkpoint (README.md,
 * Reductions). */
#define USER_RUNS(me)     (running && inUser[me] && (!lock || quiesce))

inline enterKernel(condition, p) {
    d_step { condition -> lock = true; inUser[0] = false; kPage = p }
}

/* Releases the big lock. A core that came in for a checkpoint goes back to user mode, by way of
 * its TLB flush. */
inline leaveKernel() {
    d_step {
        lock = false; quiesce = false; inUser[0] = true; kPage = 0;
        if
        :: !inUser[1] ->
            if :: mustFlush -> staleTable = 0; mustFlush = false :: else fi;
            inUser[1] = true
        :: else
        fi
    }
}

/* The registers of a thread that ran, as saved at the border of the kernel for a checkpoint. */
inline saveRegisters(me) {
    object[me] = (object[me] & ~15) | building;
    dirtyObjects = dirtyObjects | (1 << me)
}

inline writePage(me, p) {
    d_step {
        USER_RUNS(me) && CAN_WRITE(me, p) ->
        /* Invariants: no write between revokeWrites and commit, nor to what is committed. */
        assert(!window);
        restoreChoice(p, building);
        assert(wordC[BORN(p, choice)] == building && wordC[FRAME(p, choice)] == mappedFrame[p]);
        storeBlock(CONTENT(mappedFrame[p]), building);
        expectedPage[p] = building
    }
}

/* Thread 0 stores a byte in the ring; then it moves `local`. */
inline storeOutput() {
    d_step {
        USER_RUNS(0) && localOut < OUTPUTS && !(object[0] & 16) ->
        storeBlock(OUTPUT(localOut), building);
        saveRegisters(0); object[0] = object[0] | 16
    }
}

inline moveOutput() {
    d_step {
        USER_RUNS(0) && (object[0] & 16) ->
        localOut++;
        saveRegisters(0); object[0] = (object[0] & ~16) + 32
    }
}

/* Thread 1 takes a byte in. */
inline takeInput() {
    d_step {
        USER_RUNS(1) && localIn < arrived ->
        /* Invariant: the byte was not overwritten before it was taken for good. */
        assert(arrived == localIn + 1);
        localIn++;
        saveRegisters(1); object[1] = object[1] + 32
    }
}

/* The outside, as eager as it can be: reads all that is published and overwrites all that is given
 * back. */
inline outside() {
    do
    :: seen < publishedOut ->
        /* Invariants: only committed output leaves; it is what the surviving history put out. */
        assert(seen < savedOut);
        assert(blockC[OUTPUT(seen)] == savedByte[seen]);
        seen++
    :: else -> break
    od;
    if :: arrived < INPUTS && arrived <= publishedIn -> arrived++ :: else fi
}

/* Core 0's user mode, and the kernel on whichever core is in it. */
inline live() {
    do
    :: writePage(0, 0)
    :: writePage(0, 1)
    :: storeOutput()
    :: moveOutput()
    :: enterKernel(WRITES && !CAN_WRITE(0, 0), 0); makeWritable(kPage); leaveKernel()
    :: enterKernel(WRITES && !CAN_WRITE(0, 1), 1); makeWritable(kPage); leaveKernel()
    :: enterKernel(decommits < DECOMMITS, 0); decommit(kPage); leaveKernel()
    :: enterKernel(checkpoints < CHECKPOINTS, 0); takeCheckpoint(); leaveKernel()
#ifdef BUG_FINISH_DECOMMIT_LATE
    :: enterKernel(deferred != 0 && building == committed + 1, 0); finishDecommit(0); leaveKernel()
#endif
    od
}

/* Core 1's user mode: it comes in when a checkpoint asks for it; its thread ran since it was last
 * in, or did not. */
active proctype Core1() {
end:
    do
    :: writePage(1, 0)
    :: writePage(1, 1)
    :: takeInput()
    :: d_step { quiesce && inUser[1] -> inUser[1] = false; saveRegisters(1) }
    :: d_step { quiesce && inUser[1] -> inUser[1] = false }
    od
}

/* All that is in DRAM or in a core. */
inline forgetDRAM() {
    building = 0; committed = 0; aborted = 0; promised = 0;
    freeFrames = 0; scanned = false; dirtyFrames = 0; deferred = 0;
    pageTable = 0; staleTable = 0; mappedFrame[0] = 0; mappedFrame[1] = 0;
    kPage = 0; kChoice = 0; kFrame = 0;
    object[0] = 0; object[1] = 0; dirtyObjects = 0; recordSlot[0] = 0; recordSlot[1] = 0;
    commitNewest = 0; historyNewest = 0; incarnation = 0; firstBuilding = 0; record = 0;
    lock = false; quiesce = false; mustFlush = false; window = false;
    inUser[0] = false; inUser[1] = false;
    expectedPage[0] = 0; expectedPage[1] = 0;
    running = false
}

/* The store at the first start: version 2 is committed, after 1. Page 0 has two frames, page 1 has
 * one (ABSENT: none). */
#ifdef ABSENT
#define PROMISED  2
#else
#define PROMISED  4
#endif

inline format() {
    wordC[BORN(0, 0)] = 2; wordC[FRAME(0, 0)] = 1; wordC[BORN(0, 1)] = 1; wordC[FRAME(0, 1)] = 2;
    wordC[STAMP(1)] = 1; wordC[STAMP(2)] = 1;
    blockC[CONTENT(1)] = 2; blockC[CONTENT(2)] = 1;
#ifndef ABSENT
    wordC[BORN(1, 0)] = 1; wordC[FRAME(1, 0)] = 3; wordC[STAMP(3)] = 2;
    blockC[CONTENT(3)] = 1; savedPage[1] = 1;
#endif
    wordC[RBORN(0, 0)] = 2; wordC[RBORN(0, 1)] = 1; wordC[RBORN(1, 0)] = 1; wordC[RBORN(1, 1)] = 2;
    blockC[PAYLOAD(0, 0)] = 2; blockC[PAYLOAD(0, 1)] = 1;
    blockC[PAYLOAD(1, 0)] = 1; blockC[PAYLOAD(1, 1)] = 2;
    slotC[COMMIT(0, 0)] = COMMIT_RECORD(2, 0, 0, PROMISED);
    slotC[COMMIT(0, 1)] = slotC[COMMIT(0, 0)];
    slotC[COMMIT(1, 0)] = COMMIT_RECORD(1, 0, 0, PROMISED);
    slotC[COMMIT(1, 1)] = slotC[COMMIT(1, 0)];
    wordF = (1 << WORDS) - 1; blockF = (1 << BLOCKS) - 1; slotF = (1 << SLOTS) - 1;
    fence();
    savedVersion = 2; savedPage[0] = 2; savedObject[0] = 2; savedObject[1] = 2
}

active proctype Core0() {
    d_step { format(); power = true }
    do
    :: {
           restore();
           /* After the last power cut only the restore is of interest. */
           if :: crashes < CRASHES -> live() :: else -> goto over fi
       } unless {
           atomic { !power -> loseCache(); power = true }
       }
    od;
over:
    skip
}

active proctype Power() {
end:
    do
    :: d_step { crashes < CRASHES && power -> crashes++; power = false; forgetDRAM() }
    od
}
