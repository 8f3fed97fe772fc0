// poll, select, epoll, eventfd, timerfd, pipes, descriptors.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "waiting.h"

int main(void) {
    int a[2], b[2];
    printf("pipe %d %d\n", pipe(a), pipe2(b, O_NONBLOCK | O_CLOEXEC));
    printf("descriptors %d %d %d %d\n", a[0], a[1], b[0], b[1]);
    struct pollfd polls[3] = {{a[0], POLLIN, 0}, {a[1], POLLOUT, 0}, {99, POLLIN, 0}};
    printf("poll %d:", poll(polls, 3, 0));
    printf(" %x %x %x\n", polls[0].revents, polls[1].revents, polls[2].revents);
    int waiting = getpid();
    if (fork() == 0) {
        until_it_waits(waiting);
        write(a[1], "hello", 5);
        _exit(0);
    }
    printf("poll waits %d:", poll(polls, 1, -1));
    printf(" %x\n", polls[0].revents);
    wait(0);
    fd_set set;
    FD_ZERO(&set);
    FD_SET(a[0], &set);
    FD_SET(b[0], &set);
    struct timeval time = {.tv_usec = 10000};
    int ready = select(b[0] + 1, &set, 0, 0, &time);
    printf("select %d: %d %d\n", ready, FD_ISSET(a[0], &set), FD_ISSET(b[0], &set));
    static char text[4096];
    struct iovec pieces[2] = {{text, 2}, {text + 10, 3}};
    printf("readv %ld %s %s\n", (long)readv(a[0], pieces, 2), text, text + 10);
    ssize_t count = read(b[0], text, 1);
    printf("empty: %ld %s\n", (long)count, strerror(errno));
    memset(text, 'x', sizeof text);
    long total = 0;
    while ((count = write(b[1], text, sizeof text)) > 0) total += count;
    printf("full after %ld: %s\n", total, strerror(errno));
    close(b[1]);
    FD_ZERO(&set);
    poll(&(struct pollfd){0}, 0, 5);

    int poller = epoll_create1(EPOLL_CLOEXEC);
    int counter = eventfd(3, EFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.u32 = 1}, events[4];
    printf("epoll add %d\n", epoll_ctl(poller, EPOLL_CTL_ADD, counter, &event));
    int result = epoll_ctl(poller, EPOLL_CTL_ADD, counter, &event);
    printf("epoll add again %d %s\n", result, strerror(errno));
    result = epoll_wait(poller, events, 4, -1);
    printf("epoll wait %d data %u\n", result, events[0].data.u32);
    unsigned long long value = 0;
    read(counter, &value, 8);
    printf("eventfd %llu, then %d\n", value, epoll_wait(poller, events, 4, 10));
    event.events = EPOLLIN | EPOLLET;
    event.data.u32 = 2;
    epoll_ctl(poller, EPOLL_CTL_MOD, counter, &event);
    value = 5;
    write(counter, &value, 8);
    printf("edge %d", epoll_wait(poller, events, 4, -1));
    printf(" then %d", epoll_wait(poller, events, 4, 10));
    write(counter, &value, 8);
    printf(" then %d\n", epoll_wait(poller, events, 4, -1));
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);
    struct itimerspec spec = {.it_value = {.tv_nsec = 10000000}, .it_interval = {.tv_nsec = 10000000}};
    timerfd_settime(timer, 0, &spec, 0);
    event.events = EPOLLIN;
    event.data.u32 = 3;
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event);
    result = epoll_wait(poller, events, 4, -1);
    printf("timer %d data %u\n", result, events[0].data.u32);
    count = read(timer, &value, 8);
    printf("timer read %ld, at least one %d\n", (long)count, value >= 1);
    result = epoll_ctl(poller, EPOLL_CTL_ADD, open("/", O_RDONLY), &event);
    printf("file in epoll: %d %s\n", result, strerror(errno));

    int copy = dup(a[0]);
    printf("dup %d flags %d\n", copy, fcntl(copy, F_GETFD));
    printf("dup2 %d cloexec %d\n", dup2(a[0], 40), fcntl(40, F_SETFD, FD_CLOEXEC));
    printf("dupfd %d\n", fcntl(a[0], F_DUPFD_CLOEXEC, 50));
    printf("status %x access %x\n", fcntl(b[0], F_GETFL) & O_NONBLOCK, fcntl(a[1], F_GETFL) & O_ACCMODE);
    printf("pipe size %d\n", fcntl(a[0], F_GETPIPE_SZ));
    close(a[0]);
    close(copy);
    count = lseek(a[1], 0, SEEK_SET);
    printf("seek on a pipe %ld %s\n", (long)count, strerror(errno));
    struct stat status;
    fstat(a[1], &status);
    printf("fifo %d\n", S_ISFIFO(status.st_mode));
    count = read(1234, text, 1);
    printf("bad descriptor %ld %s\n", (long)count, strerror(errno));
    char *volatile nowhere = (char *)8;
    count = write(a[1], nowhere, 1);
    printf("bad address %ld %s\n", (long)count, strerror(errno));
    result = close(40);
    printf("close twice %d %d\n", result, close(40));
    return 0;
}
