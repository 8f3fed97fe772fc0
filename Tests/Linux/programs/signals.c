// Signals: handlers with siginfo and floating point, masks, alternate stacks, restarts, faults, alarms, waits.
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "waiting.h"

static volatile sig_atomic_t seen, where;
static sigjmp_buf back;
static char stack[65536];

static void handler(int number, siginfo_t *info, void *context) {
    (void)context;
    seen = number;
    where = info->si_code;
    volatile double x = 1.5;
    for (int i = 0; i < 10; i++) x *= 1.25;
}

static void on_stack(int number) {
    char here;
    seen = number;
    where = &here >= stack && &here < stack + sizeof stack;
}

static void jump(int number, siginfo_t *info, void *context) {
    (void)context;
    printf("fault %d code %d at %p\n", number, info->si_code, info->si_addr);
    siglongjmp(back, 1);
}

static void install(int number, void (*function)(int, siginfo_t *, void *), int flags) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = function;
    action.sa_flags = SA_SIGINFO | flags;
    sigaction(number, &action, 0);
}

int main(void) {
    install(SIGUSR1, handler, 0);
    double before = 3.25;
    raise(SIGUSR1);
    printf("raised %d code %d double %f\n", seen, where, before * 2);
    kill(getpid(), SIGUSR1);
    printf("killed code %d\n", where);
    union sigval value = {.sival_int = 5};
    sigqueue(getpid(), SIGUSR1, value);
    printf("queued code %d\n", where);

    sigset_t set, old, pending;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, &old);
    seen = 0;
    raise(SIGUSR1);
    sigpending(&pending);
    printf("blocked: seen %d pending %d\n", seen, sigismember(&pending, SIGUSR1));
    sigprocmask(SIG_SETMASK, &old, 0);
    printf("unblocked: seen %d\n", seen);

    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, 0);
    struct sigaction action = {.sa_handler = on_stack, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR2, &action, 0);
    raise(SIGUSR2);
    printf("on the alternate stack %d\n", where);

    install(SIGSEGV, jump, 0);
    install(SIGFPE, jump, 0);
    install(SIGILL, jump, 0);
    if (!sigsetjmp(back, 1)) *(volatile int *)0x10 = 1;
    char *page = mmap((void *)0x10000000, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    if (!sigsetjmp(back, 1)) page[5] = 1;
    if (!sigsetjmp(back, 1)) __asm__ volatile("hlt");

    int ends[2];
    pipe(ends);
    install(SIGALRM, handler, 0);
    // Again and again: the first may come before the call that it is to interrupt.
    struct itimerval timer = {{.tv_usec = 20000}, {.tv_usec = 20000}};
    setitimer(ITIMER_REAL, &timer, 0);
    char byte;
    long count = read(ends[0], &byte, 1);
    printf("read without restart: %ld %s\n", count, strerror(errno));
    setitimer(ITIMER_REAL, &(struct itimerval){0}, 0);
    install(SIGALRM, handler, SA_RESTART);
    seen = 0;
    int reader = getpid();
    if (fork() == 0) {
        until_it_waits(reader);
        kill(reader, SIGALRM);
        until_it_waits(reader);
        write(ends[1], "x", 1);
        _exit(0);
    }
    count = read(ends[0], &byte, 1);
    printf("read with restart: %ld %c seen %d\n", count, byte, seen);
    wait(0);
    install(SIGALRM, handler, 0);
    setitimer(ITIMER_REAL, &timer, 0);
    errno = 0;
    printf("pause: %d %s\n", pause(), strerror(errno));
    setitimer(ITIMER_REAL, &timer, 0);
    struct timespec time = {.tv_sec = 100000}, rest;
    int slept = nanosleep(&time, &rest);
    printf("nanosleep: %d, a rest: %d\n", slept, rest.tv_sec > 0);
    sigset_t empty;
    sigemptyset(&empty);
    setitimer(ITIMER_REAL, &timer, 0);
    printf("sigsuspend: %d\n", sigsuspend(&empty));
    sigemptyset(&set);
    sigaddset(&set, SIGALRM);
    sigprocmask(SIG_BLOCK, &set, 0);
    setitimer(ITIMER_REAL, &timer, 0);
    int number;
    sigwait(&set, &number);
    printf("sigwait %d\n", number);

    setitimer(ITIMER_REAL, &(struct itimerval){0}, 0);
    signal(SIGCHLD, SIG_IGN);
    if (fork() == 0) _exit(3);
    printf("ignored child: %d %s\n", wait(0), strerror(errno));
    signal(SIGCHLD, SIG_DFL);
    signal(SIGPIPE, SIG_IGN);
    close(ends[0]);
    printf("broken pipe: %ld %s\n", (long)write(ends[1], "x", 1), strerror(errno));
    pid_t child = fork();
    if (child == 0)
        for (;;) pause();
    kill(child, SIGSTOP);
    int status;
    waitpid(child, &status, WUNTRACED);
    printf("stopped %d by %d\n", WIFSTOPPED(status), WSTOPSIG(status));
    kill(child, SIGCONT);
    waitpid(child, &status, WCONTINUED);
    printf("continued %d\n", WIFCONTINUED(status));
    kill(child, SIGTERM);
    waitpid(child, &status, 0);
    printf("ended by %d\n", WTERMSIG(status));
    fflush(stdout);
    abort();
}
