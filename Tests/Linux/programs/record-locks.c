// Record locks of processes and of open file descriptions: who is kept out, who is told, who waits, what a close gives back.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "waiting.h"

static const char *const path = "/tmp/evertree-record-locks";
static int set(int file, int command, int type, long start, long length) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    return fcntl(file, command, &lock) ? errno : 0;
}
static void ask(int file, int command, int type, long start, long length, int parent) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    int result = fcntl(file, command, &lock);
    printf("ask %ld+%ld: %d type %d start %ld length %ld who %s\n", start, length, result, lock.l_type, (long)lock.l_start,
           (long)lock.l_len, lock.l_pid == parent ? "parent" : lock.l_pid == -1 ? "description" : lock.l_pid == 0 ? "nobody" : "other");
}
static int other(void (*body)(int), int file) {
    fflush(stdout);
    int child = fork(), status;
    if (!child) { body(file); fflush(stdout); _exit(0); }
    waitpid(child, &status, 0);
    return status;
}
static void look(int file) {
    int mine = open(path, O_RDWR);
    for (long at = 0; at < 60; at += 10) ask(mine, F_GETLK, F_WRLCK, at, 10, getppid());
    ask(mine, F_GETLK, F_RDLCK, 0, 0, getppid());
    printf("write %s\n", strerror(set(mine, F_SETLK, F_WRLCK, 12, 1)));
    printf("read %s\n", strerror(set(mine, F_SETLK, F_RDLCK, 30, 1)));
    printf("beside %s\n", strerror(set(mine, F_SETLK, F_WRLCK, 100, 5)));
}
static void waits(int file) {
    alarm(600);
    printf("waited %s\n", strerror(set(open(path, O_RDWR), F_SETLKW, F_WRLCK, 0, 0)));
}
static void nothing(int signal) {}
static void interrupted(int file) {
    struct sigaction action = {.sa_handler = nothing};
    sigaction(SIGALRM, &action, 0);
    // Again and again: the first may come before the call.
    ualarm(50000, 50000);
    printf("interrupted %s\n", strerror(set(file, F_SETLKW, F_WRLCK, 10, 1)));
}

int main(void) {
    setvbuf(stdout, 0, _IOLBF, 0);
    unlink(path);
    int file = open(path, O_RDWR | O_CREAT, 0600);
    printf("take %s\n", strerror(set(file, F_SETLK, F_WRLCK, 10, 10)));
    printf("join %s\n", strerror(set(file, F_SETLK, F_WRLCK, 20, 5)));
    printf("read %s\n", strerror(set(file, F_SETLK, F_RDLCK, 30, 20)));
    other(look, file);
    printf("cut %s\n", strerror(set(file, F_SETLK, F_UNLCK, 13, 4)));
    printf("weaken %s\n", strerror(set(file, F_SETLK, F_RDLCK, 20, 2)));
    other(look, file);
    other(interrupted, file);
    // Bad arguments.
    printf("type %s\n", strerror(set(file, F_SETLK, 5, 0, 1)));
    printf("below %s\n", strerror(set(file, F_SETLK, F_WRLCK, -1, 1)));
    printf("back %s\n", strerror(set(file, F_SETLK, F_WRLCK, 5, -6)));
    printf("beyond %s\n", strerror(set(file, F_SETLK, F_WRLCK, 0x7FFFFFFFFFFFFFFF, 2)));
    printf("nothing %s\n", strerror(set(file, F_GETLK, F_UNLCK, 0, 1)));
    int reader = open(path, O_RDONLY), writer = open(path, O_WRONLY), bare = open(path, O_PATH);
    printf("reader %s\n", strerror(set(reader, F_SETLK, F_WRLCK, 0, 1)));
    printf("writer %s\n", strerror(set(writer, F_SETLK, F_RDLCK, 0, 1)));
    printf("path %s\n", strerror(set(bare, F_SETLK, F_RDLCK, 0, 1)));
    printf("closed %s\n", strerror(set(99, F_SETLK, F_RDLCK, 0, 1)));
    // Any close of the file gives all locks of the process back.
    close(bare);
    other(look, file);
    close(reader);
    other(look, file);
    // A wait ends when the lock is given back.
    set(file, F_SETLK, F_WRLCK, 0, 0);
    fflush(stdout);
    int child = fork();
    if (!child) { waits(file); fflush(stdout); _exit(0); }
    until_it_waits(child);
    printf("give back %s\n", strerror(set(file, F_SETLK, F_UNLCK, 0, 0)));
    wait(0);
    // Deadlock: each holds one byte and wants the other's.
    set(file, F_SETLK, F_WRLCK, 1, 1);
    int line[2];
    pipe(line);
    fflush(stdout);
    child = fork();
    if (!child) {
        set(file, F_SETLK, F_WRLCK, 2, 1);
        write(line[1], "x", 1);
        alarm(600);
        set(file, F_SETLKW, F_WRLCK, 1, 1);
        _exit(0);
    }
    char byte;
    read(line[0], &byte, 1);
    until_it_waits(child);
    printf("deadlock %s\n", strerror(set(file, F_SETLKW, F_WRLCK, 2, 1)));
    set(file, F_SETLK, F_UNLCK, 0, 0);
    wait(0);
    // Descriptions: excluded by one another, kept by dup and fork, gone with the last descriptor.
    int second = open(path, O_RDWR), copy = dup(file);
    printf("description %s\n", strerror(set(file, F_OFD_SETLK, F_WRLCK, 5, 5)));
    printf("again %s\n", strerror(set(copy, F_OFD_SETLK, F_WRLCK, 0, 20)));
    printf("other %s\n", strerror(set(second, F_OFD_SETLK, F_WRLCK, 5, 1)));
    printf("process %s\n", strerror(set(file, F_SETLK, F_WRLCK, 5, 1)));
    ask(second, F_OFD_GETLK, F_WRLCK, 0, 0, getpid());
    other(look, file);
    close(file);
    printf("kept %s\n", strerror(set(second, F_OFD_SETLK, F_RDLCK, 5, 1)));
    close(copy);
    printf("gone %s\n", strerror(set(second, F_OFD_SETLK, F_WRLCK, 5, 1)));
    struct flock named = {.l_type = F_WRLCK, .l_pid = 1};
    printf("with an id %d %s\n", fcntl(second, F_OFD_SETLK, &named), strerror(errno));
    unlink(path);
    return 0;
}
