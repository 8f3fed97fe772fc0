// flock(2): locks belong to open file descriptions, exclude each other, wait, and go with the last descriptor.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>
#include "waiting.h"

static int file(void) { return open("lock.file", O_RDWR | O_CREAT, 0600); }

static void try(const char *what, int descriptor, int operation) {
    int result = flock(descriptor, operation);
    printf("%s: %d %s\n", what, result, result < 0 ? strerror(errno) : "");
}

static void nothing(int signal) { (void)signal; }

// A child says "waiting", waits for the lock, and says what it got.
static void wait_for_lock(int held) {
    int ready[2], got[2];
    char letter;
    pipe(ready);
    pipe(got);
    int child = fork();
    if (child == 0) {
        int own = file();
        write(ready[1], "w", 1);
        int result = flock(own, LOCK_EX);
        write(got[1], result == 0 ? "y" : "n", 1);
        _exit(0);
    }
    read(ready[0], &letter, 1);
    until_it_waits(child);
    fcntl(got[0], F_SETFL, O_NONBLOCK);
    printf("the child waits: %s\n", read(got[0], &letter, 1) < 0 ? "yes" : "no");
    fcntl(got[0], F_SETFL, 0);
    flock(held, LOCK_UN);
    read(got[0], &letter, 1);
    printf("the child has it: %c\n", letter);
    wait(0);
    try("it went with the child", held, LOCK_EX | LOCK_NB);
}

int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    chdir("/tmp");
    unlink("lock.file");
    int first = file(), second = file();
    try("exclusive", first, LOCK_EX);
    try("again", first, LOCK_EX | LOCK_NB);
    try("other description", second, LOCK_EX | LOCK_NB);
    try("shared beside exclusive", second, LOCK_SH | LOCK_NB);
    try("down to shared", first, LOCK_SH);
    try("two shared", second, LOCK_SH | LOCK_NB);
    try("up to exclusive", first, LOCK_EX | LOCK_NB);
    try("unlock the other", second, LOCK_UN);
    try("now up", first, LOCK_EX | LOCK_NB);
    try("no operation", first, 0);
    try("two operations", first, LOCK_SH | LOCK_UN);
    try("bad descriptor", 99, LOCK_SH);

    int copy = dup(first);
    close(first);
    try("a copy keeps it", second, LOCK_EX | LOCK_NB);
    try("a copy gives it back", copy, LOCK_UN);
    try("free", second, LOCK_EX | LOCK_NB);
    if (fork() == 0) {
        try("inherited", second, LOCK_EX | LOCK_NB);
        try("own", file(), LOCK_SH | LOCK_NB);
        _exit(0);
    }
    wait(0);
    wait_for_lock(second);

    struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGALRM, &action, 0);
    // Again and again: the first may come before the call.
    ualarm(50000, 50000);
    try("interrupted", copy, LOCK_EX);
    ualarm(0, 0);
    close(second);
    try("after the close", copy, LOCK_SH | LOCK_NB);
    int pipes[2];
    pipe(pipes);
    try("a pipe", pipes[0], LOCK_EX);
    try("a directory", open("/tmp", O_RDONLY), LOCK_SH | LOCK_NB);
    try("a path", open("/tmp", O_PATH), LOCK_SH | LOCK_NB);
    unlink("lock.file");
    return 0;
}
