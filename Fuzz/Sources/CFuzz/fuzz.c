#define _GNU_SOURCE
#include "fuzz.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

// MARK: Coroutines

struct fuzz_coroutine {
    ucontext_t own, caller;
    void (*run)(uint64_t argument);
    uint64_t argument;
};

static void begin(unsigned low, unsigned high) {
    struct fuzz_coroutine *me = (struct fuzz_coroutine *)((uintptr_t)low | (uintptr_t)high << 32);
    me->run(me->argument);
    abort(); // Server threads never end.
}

struct fuzz_coroutine *fuzz_coroutine_make(size_t stack, void (*run)(uint64_t argument), uint64_t argument) {
    const size_t guard = 4096;
    char *place = mmap(0, stack + guard, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (place == MAP_FAILED) return NULL;
    mprotect(place, guard, PROT_NONE);
    struct fuzz_coroutine *made = calloc(1, sizeof *made);
    made->run = run;
    made->argument = argument;
    getcontext(&made->own);
    made->own.uc_stack.ss_sp = place + guard;
    made->own.uc_stack.ss_size = stack;
    makecontext(&made->own, (void (*)(void))begin, 2, (unsigned)(uintptr_t)made, (unsigned)((uintptr_t)made >> 32));
    return made;
}

void fuzz_coroutine_resume(struct fuzz_coroutine *coroutine) { swapcontext(&coroutine->caller, &coroutine->own); }
void fuzz_coroutine_suspend(struct fuzz_coroutine *coroutine) { swapcontext(&coroutine->own, &coroutine->caller); }

// MARK: One input, one process

// The edge counters of everything that is instrumented; the linker knows where they begin and end.
extern uint8_t __start___sancov_cntrs[] __attribute__((weak, visibility("hidden")));
extern uint8_t __stop___sancov_cntrs[] __attribute__((weak, visibility("hidden")));

static const int deadly[] = {SIGSEGV, SIGBUS, SIGILL, SIGTRAP, SIGABRT, SIGFPE};
enum { deadly_count = sizeof deadly / sizeof *deadly };
static struct sigaction before[deadly_count];
static uint8_t *shared;

uint64_t *fuzz_isolation_start(void) {
    // Handlers from before libFuzzer's: none, or those of Swift that show a backtrace.
    for (int i = 0; i < deadly_count; i++) sigaction(deadly[i], NULL, &before[i]);
    size_t size = FUZZ_SHARED_WORDS * 8 + (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs);
    shared = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return shared == MAP_FAILED ? NULL : (uint64_t *)shared;
}

int fuzz_isolate(void (*body)(void *context), void *context, int seconds) {
    const size_t count = (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs);
    uint8_t *counters = shared + FUZZ_SHARED_WORDS * 8;
    pid_t child = fork();
    if (child < 0) return -1;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (int i = 0; i < deadly_count; i++) sigaction(deadly[i], &before[i], NULL);
        signal(SIGVTALRM, SIG_DFL);
        struct itimerval limit = {.it_value.tv_sec = seconds};
        setitimer(ITIMER_VIRTUAL, &limit, NULL);
        body(context);
        memcpy(counters, __start___sancov_cntrs, count);
        _exit(0);
    }
    int status = 0;
    while (waitpid(child, &status, 0) < 0) {}
    if (status == 0) memcpy(__start___sancov_cntrs, counters, count);
    return status;
}
