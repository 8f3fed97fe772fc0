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

/// Words that the child of `fuzz_isolate` shares with its parent.
enum { FUZZ_SHARED_WORDS = 16 };
/// To be called once, before libFuzzer starts. The shared words; NULL: no memory.
uint64_t *fuzz_isolation_start(void);
/// Runs `body` in a child of this process, which gets `seconds` of processor time, and takes over its edge counters.
/// The child's wait status: 0 when `body` returned.
int fuzz_isolate(void (*body)(void *context), void *context, int seconds);

#endif
