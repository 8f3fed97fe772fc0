// Random Linux calls with hostile arguments: the server must answer each one, with an error or by ending the caller.
// usage: calls SEED CALLS      Prints the calls made; ends with status 0 when the server is still sound afterwards.
// Each round is a child without privileges that makes calls until it dies, hangs (it is killed) or has made its share.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static uint64_t state;
static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}
static uint64_t below(uint64_t bound) { return next() % bound; }

static char buffer[65536];
static const char *const paths[] = {
    "/", "", ".", "..", "file", "directory", "directory/x", "link", "/proc/self/maps", "/proc/self/fd/0", "/dev/null",
    "/dev/zero", "/proc/self/exe", "//..//x/./", "/proc/1/stat", "fifo", "/dev/random", "/proc/self/comm",
};

static uint64_t pointer(void) {
    switch (below(14)) {
    case 0: return 0;
    case 1: return 8;
    case 2: return UINT64_MAX - below(4096);
    case 3: return 0x3FFFFFFFF000 + below(8192);
    case 4: return 0x400000000000 + below(4096);
    case 5: return 0x7FFFFFFFF000 + below(8192);
    case 6: return 0xFFFF800000000000 | below(1 << 20);
    case 7: return (uint64_t)&below;
    case 8: return (uint64_t)__builtin_frame_address(0) - below(4096);
    case 9: return next();
    case 10: return (uint64_t)paths[below(sizeof paths / sizeof *paths)];
    default: return (uint64_t)buffer + below(sizeof buffer + 64);
    }
}

static uint64_t number(void) {
    switch (below(12)) {
    case 0: return 0;
    case 1: return UINT64_MAX;
    case 2: return 1ull << below(64);
    case 3: return (1ull << below(64)) - 1;
    case 4: return 4096 * below(64);
    case 5: return next();
    case 6: return next() & 0xFFFFFFFF;
    case 7: return INT64_MIN + below(3);
    case 8: return INT32_MAX - below(2);
    case 9: return (uint64_t)-100;
    default: return below(70);
    }
}

static uint64_t argument(void) {
    switch (below(5)) {
    case 0:
    case 1: return pointer();
    case 2: return below(12);
    case 3: return (uint64_t)paths[below(sizeof paths / sizeof *paths)];
    default: return number();
    }
}

// Fills part of the buffer with words that look like structures.
static void scribble(void) {
    uint64_t at = below(sizeof buffer / 8 - 64);
    for (uint64_t i = 0; i < 1 + below(32); i++) {
        uint64_t word = argument();
        memcpy(buffer + (at + i) * 8, &word, 8);
    }
}

static int is_rare(long call) {
    // Calls that end or stop the round: now and then.
    switch (call) {
    case SYS_exit:
    case SYS_exit_group:
    case SYS_execve:
    case SYS_execveat:
    case SYS_fork:
    case SYS_vfork:
    case SYS_clone:
    case SYS_clone3:
    case SYS_pause:
    case SYS_rt_sigsuspend:
    case SYS_rt_sigreturn:
    case SYS_kill:
    case SYS_tkill:
    case SYS_tgkill:
    case SYS_munmap: return below(200) != 0;
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
    case SYS_rt_sigtimedwait:
    case SYS_futex:
    case SYS_poll:
    case SYS_ppoll:
    case SYS_select:
    case SYS_pselect6:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_wait4:
    case SYS_waitid:
    case SYS_read:
    case SYS_readv: return below(8) != 0;
    default: return 0;
    }
}

static void child(volatile uint64_t *made, uint64_t calls, int is_root) {
    setsid();
    for (int i = 0; i < 3; i++) close(i);
    open("/dev/null", O_RDWR);
    open("file", O_RDWR | O_CREAT, 0644);
    open(".", O_RDONLY);
    int ends[2];
    if (pipe2(ends, O_NONBLOCK) < 0) _exit(1);
    if (!is_root) (void)!setuid(1000);
    for (uint64_t i = 0; i < calls; i++) {
        long call = (long)(below(50) == 0 ? next() >> below(64) : below(460));
        if (is_root && (call == SYS_kill || call == SYS_tkill || call == SYS_tgkill || call == SYS_rt_sigqueueinfo))
            continue;
        if (is_rare(call)) continue;
        if (below(4) == 0) scribble();
        (*made)++;
        syscall(call, argument(), argument(), argument(), argument(), argument(), argument());
    }
    _exit(0);
}

int main(int count, char **arguments) {
    if (count < 3) return 2;
    uint64_t seed = strtoull(arguments[1], 0, 0), wanted = strtoull(arguments[2], 0, 0);
    volatile uint64_t *made = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    uint64_t total = 0, rounds = 0, ends[4] = {0};
    char directory[] = "/tmp/evertree-fuzz";
    mkdir(directory, 0777);
    chmod(directory, 0777);
    if (chdir(directory) < 0) return 3;
    while (total < wanted) {
        state = seed * 1000003 + ++rounds;
        for (int i = 0; i < 10; i++) next();
        *made = 0;
        pid_t pid = fork();
        if (pid < 0) return 4;
        if (pid == 0) child(made, 400, rounds % 4 == 0);
        int status = 0, waited = 0;
        uint64_t before = ~0ull;
        // Killed when it has made no call for a while.
        while (waitpid(pid, &status, WNOHANG) == 0) {
            struct timespec pause = {.tv_nsec = 1000000};
            nanosleep(&pause, 0);
            waited = *made == before ? waited + 1 : 0;
            before = *made;
            if (waited > 20) kill(pid, SIGKILL);
        }
        kill(-1, SIGKILL);
        while (waitpid(-1, 0, WNOHANG) > 0) {}
        ends[WIFEXITED(status) ? 0 : WTERMSIG(status) == SIGSEGV ? 1 : WTERMSIG(status) == SIGKILL ? 2 : 3]++;
        total += *made > 1000000 ? 0 : *made;
        if (rounds % 200 == 0) {
            printf("%lu rounds, %lu calls; exited %lu segv %lu killed %lu other %lu\n", rounds, total, ends[0], ends[1],
                   ends[2], ends[3]);
            fflush(stdout);
        }
    }
    printf("%lu rounds, %lu calls with seed %lu: the server answers\n", rounds, total, seed);
    return 0;
}
