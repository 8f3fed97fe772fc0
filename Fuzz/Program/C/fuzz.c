#define _GNU_SOURCE
#include "fuzz.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

// The Linux server's seed (Sources/Servers/Linux/Seam), in place of the C library's: the same in each run.
void arc4random_buf(void *buffer, size_t length) { memset(buffer, 0x5A, length); }

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

// What all processes share: words, then an input, then edge counters.
static uint8_t *shared;

struct fuzz_nursery {
    int commands, results;
};

static size_t counter_count(void) { return (size_t)(__stop___sancov_cntrs - __start___sancov_cntrs); }
static uint8_t *shared_input(void) { return shared + FUZZ_SHARED_WORDS * 8; }
static uint8_t *shared_counters(void) { return shared_input() + FUZZ_INPUT_LIMIT; }

uint64_t *fuzz_shared_words(void) {
    if (shared) return (uint64_t *)shared;
    size_t size = FUZZ_SHARED_WORDS * 8 + FUZZ_INPUT_LIMIT + counter_count();
    void *place = mmap(0, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (place == MAP_FAILED) return NULL;
    shared = place;
    return place;
}

// The process of one input.
static _Noreturn void live(void (*body)(void *, const uint8_t *, size_t), void *context, size_t size, int seconds) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    memset(__start___sancov_cntrs, 0, counter_count());
    struct itimerval limit = {.it_value.tv_sec = seconds};
    setitimer(ITIMER_VIRTUAL, &limit, NULL);
    body(context, shared_input(), size);
    memcpy(shared_counters(), __start___sancov_cntrs, counter_count());
    _exit(0);
}

struct fuzz_nursery *fuzz_nursery_make(
    void (*prepare)(void *context), void (*body)(void *context, const uint8_t *data, size_t size), void *context,
    int seconds) {
    int commands[2], results[2];
    if (!fuzz_shared_words() || pipe2(commands, O_CLOEXEC) < 0 || pipe2(results, O_CLOEXEC) < 0) return NULL;
    struct fuzz_nursery *made = calloc(1, sizeof *made);
    *made = (struct fuzz_nursery){.commands = commands[1], .results = results[0]};
    pid_t process = fork();
    if (process < 0) return NULL;
    // Each side keeps its own ends only, so that it sees when the other is gone.
    if (process > 0) {
        close(commands[0]);
        close(results[1]);
        return made;
    }
    close(commands[1]);
    close(results[0]);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prepare(context);
    uint64_t size;
    while (read(commands[0], &size, sizeof size) == sizeof size) {
        int status = -1;
        pid_t child = fork();
        if (child == 0) live(body, context, size, seconds);
        if (child > 0) {
            while (waitpid(child, &status, 0) < 0) {}
        }
        if (write(results[1], &status, sizeof status) != sizeof status) break;
    }
    _exit(0);
}

// libFuzzer's timer may interrupt a wait.
static int transfer(ssize_t (*move)(int, void *, size_t), int file, void *data, size_t size) {
    ssize_t moved;
    do moved = move(file, data, size);
    while (moved < 0 && errno == EINTR);
    return moved == (ssize_t)size;
}
static ssize_t send_word(int file, void *data, size_t size) { return write(file, data, size); }

int fuzz_isolate(struct fuzz_nursery *nursery, const uint8_t *data, size_t count) {
    uint64_t size = count < FUZZ_INPUT_LIMIT ? count : FUZZ_INPUT_LIMIT;
    int status = -1;
    if (size > 0) memcpy(shared_input(), data, size);
    if (!transfer(send_word, nursery->commands, &size, sizeof size)) return -1;
    if (!transfer(read, nursery->results, &status, sizeof status)) return -1;
    if (status == 0) memcpy(__start___sancov_cntrs, shared_counters(), counter_count());
    return status;
}
