# What check.sh searches: the bounds of each exhaustive search, and of each broken variant. Read by check.sh.

still="-DOUTPUTS=0 -DINPUTS=0"

configurations() {
    echo "Exhaustive searches (all states within the bounds):"
    # Everything together, one power cut.
    prove all -DCRASHES=1 -DCHECKPOINTS=1
    # Two pages and two objects through two checkpoints; a cut, and another in recovery or later.
    prove pages -DCRASHES=2 -DCHECKPOINTS=2 -DDECOMMITS=0 $still
    # Pages given back and frames used again.
    prove frames -DCRASHES=2 -DCHECKPOINTS=1 -DDECOMMITS=1 $still
    # A page that is new and one that is given back: with frames to spare, then with three.
    prove fresh -DABSENT -DCRASHES=2 -DCHECKPOINTS=1 -DDECOMMITS=1 $still
    prove reuse -DABSENT -DFRAMES=3 -DCRASHES=2 -DCHECKPOINTS=2 -DDECOMMITS=1 $still
    # Output and input rings, with the threads' registers.
    prove rings -DCRASHES=2 -DCHECKPOINTS=2 -DWRITES=0 -DDECOMMITS=0
    # Cuts in a row: recovery of recovery, commit and history slots.
    prove recovery -DCRASHES=4 -DCHECKPOINTS=3 -DWRITES=0 -DDECOMMITS=0 $still
}

variants() {
    local once="-DCRASHES=1 -DCHECKPOINTS=1"
    echo "Broken variants (each must fail):"
    # Atomic: pages.
    refute BUG_COPY_NOT_FLUSHED $once $still
    refute BUG_BORN_NOT_FENCED $once $still
    refute BUG_COMMIT_NOT_FENCED $once $still
    # Atomic: objects.
    refute BUG_RECORD_OVER_NEWEST $once $still
    refute BUG_FORGET_DIRTY_OBJECT $once $still
    refute BUG_NO_ANNOUNCE $once $still
    # Atomic over repeated cuts: versions are never used twice.
    refute BUG_ABORT_ONLY_NEXT $once $still
    refute BUG_VERSION_USED_AGAIN $once $still
    refute BUG_HISTORY_NOT_FLUSHED $once $still
    # Fresh: the newest commit is found, and no crash looks like damage.
    refute BUG_COPIES_NOT_FENCED $once $still
    refute BUG_NO_REPAIR -DCRASHES=3 -DCHECKPOINTS=3 -DWRITES=0 -DDECOMMITS=0 $still
    # Externally synchronous.
    refute BUG_PUBLISH_BEFORE_COMMIT $once
    refute BUG_GIVE_BACK_BEFORE_COMMIT $once
    refute BUG_RING_NOT_RESET $once
    refute BUG_FLUSH_RING_TO_LOCAL $once -DWRITES=0
    # No frame both live and used again, none leaked.
    refute BUG_FREE_BEFORE_COMMIT $once $still
    refute BUG_STAMP_NOT_FLUSHED $once $still
    refute BUG_FINISH_DECOMMIT_LATE $once $still
    # No write between revokeWrites and commit, nor to committed content.
    refute BUG_NO_QUIESCE $once $still
    refute BUG_NO_TLB_FLUSH $once $still
}
