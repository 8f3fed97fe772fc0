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

// What this process and the nursery share: words, then an input, then edge counters.
static uint8_t *shared;
static int to_nursery, from_nursery;

static size_t counter_count(void) { return (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs); }
static uint8_t *shared_input(void) { return shared + FUZZ_SHARED_WORDS * 8; }
static uint8_t *shared_counters(void) { return shared_input() + FUZZ_INPUT_LIMIT; }

// The process of one input.
static _Noreturn void live(fuzz_body body, size_t size, int seconds) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    memset(__start___sancov_cntrs, 0, counter_count());
    struct itimerval limit = {.it_value.tv_sec = seconds};
    setitimer(ITIMER_VIRTUAL, &limit, NULL);
    body(shared_input(), size);
    memcpy(shared_counters(), __start___sancov_cntrs, counter_count());
    _exit(0);
}

// A process without libFuzzer's tables, which make a fork dear.
static _Noreturn void nurse(fuzz_body body, int seconds, int commands, int results) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    uint64_t size;
    while (read(commands, &size, sizeof size) == sizeof size) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) live(body, size, seconds);
        if (child > 0) {
            while (waitpid(child, &status, 0) < 0) {}
        }
        if (write(results, &status, sizeof status) != sizeof status) break;
    }
    _exit(0);
}

uint64_t *fuzz_isolation_words(void) {
    if (shared) return (uint64_t *)shared;
    size_t size = FUZZ_SHARED_WORDS * 8 + FUZZ_INPUT_LIMIT + counter_count();
    void *place = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) return NULL;
    shared = place;
    return place;
}

int fuzz_isolation_start(fuzz_body body, int seconds) {
    int commands[2], results[2];
    if (!fuzz_isolation_words() || pipe(commands) < 0 || pipe(results) < 0) return -1;
    pid_t nursery = fork();
    if (nursery < 0) return -1;
    if (nursery == 0) {
        close(commands[1]);
        nurse(body, seconds, commands[0], results[1]);
    }
    to_nursery = commands[1];
    from_nursery = results[0];
    return 0;
}

int fuzz_isolate(const uint8_t *data, size_t count) {
    uint64_t size = count < FUZZ_INPUT_LIMIT ? count : FUZZ_INPUT_LIMIT;
    int status = -1;
    if (size > 0) memcpy(shared_input(), data, size);
    if (write(to_nursery, &size, sizeof size) != sizeof size) return -1;
    if (read(from_nursery, &status, sizeof status) != sizeof status) return -1;
    if (status == 0) memcpy(__start___sancov_cntrs, shared_counters(), counter_count());
    return status;
}
