#ifndef EVERTREE_FUZZ_H
#define EVERTREE_FUZZ_H
#include <stddef.h>
#include <stdint.h>

/// libFuzzer as a library (llvm.org/docs/LibFuzzer.html, "Using libFuzzer as a library"): runs until its limits are
/// reached, then ends the process.
int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*callback)(const uint8_t *data, size_t size));

/// A server thread of the stand-in machine: a stack of its own, switched by hand, so that a run is the same each time.
struct fuzz_coroutine;
/// With `stack` bytes above a page that faults. NULL: no memory. `run` must not return.
struct fuzz_coroutine *fuzz_coroutine_make(size_t stack, void (*run)(uint64_t argument), uint64_t argument);
/// Runs it until it suspends itself.
void fuzz_coroutine_resume(struct fuzz_coroutine *coroutine);
/// Called on its own stack: goes back to who resumed it.
void fuzz_coroutine_suspend(struct fuzz_coroutine *coroutine);

/// Sizes of what all processes of a campaign share.
enum { FUZZ_SHARED_WORDS = 16, FUZZ_INPUT_LIMIT = 1 << 20 };
/// Words that live through all inputs; NULL: no memory.
uint64_t *fuzz_shared_words(void);

/// A process that forks one more for each input. It is made before libFuzzer starts, without whose tables a fork is
/// cheap.
struct fuzz_nursery;
/// The nursery calls `prepare`; each input's process starts in the state that this leaves, calls `body`, and has
/// `seconds` of processor time. NULL: it failed.
struct fuzz_nursery *fuzz_nursery_make(
    void (*prepare)(void *context), void (*body)(void *context, const uint8_t *data, size_t size), void *context,
    int seconds);
/// Has one input run and takes over its edge counters, so that libFuzzer learns from it as from a call. The wait status
/// of its process: 0 when `body` returned.
int fuzz_isolate(struct fuzz_nursery *nursery, const uint8_t *data, size_t count);

#endif
