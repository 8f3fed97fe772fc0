// Clients and a server in one machine: each client counts over a connection of its own (TCP, a UNIX stream, UNIX
// packets), the server answers each number with the next one, in order. Prints one line for each number that all
// clients have reached; a byte that is lost, repeated or changed ends it with a message. SIGTERM ends it with status 0.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { clients = 12, length = 3000 };
static void fail(const char *what) {
    printf("failed: %s\n", what);
    exit(1);
}
static void done(int signal) { _exit(0); }

static int listener(int family, struct sockaddr *name, socklen_t size, int kind) {
    int l = socket(family, kind, 0);
    if (bind(l, name, size) || listen(l, clients)) fail("listen");
    return l;
}
// A message of many bytes that all follow from the number.
static void fill(unsigned *words, unsigned number) {
    for (int i = 0; i < length; i++) words[i] = number * 2654435761u + i;
}
static void send_all(int s, unsigned number) {
    unsigned words[length];
    fill(words, number);
    for (size_t at = 0; at < sizeof words;) {
        ssize_t n = send(s, (char *)words + at, sizeof words - at, 0);
        if (n <= 0) fail("send");
        at += n;
    }
}
static void expect(int s, unsigned number) {
    unsigned words[length], wanted[length];
    fill(wanted, number);
    for (size_t at = 0; at < sizeof words;) {
        ssize_t n = recv(s, (char *)words + at, sizeof words - at, 0);
        if (n <= 0) fail("receive");
        at += n;
    }
    if (memcmp(words, wanted, sizeof words)) fail("other bytes");
}
static void serve(int *listeners) {
    unsigned counts[64] = {0};
    int e = epoll_create1(0);
    struct epoll_event v = {.events = EPOLLIN}, got[8];
    for (int i = 0; i < clients; i++) {
        v.data.fd = accept(listeners[i % 3], 0, 0);
        epoll_ctl(e, EPOLL_CTL_ADD, v.data.fd, &v);
    }
    for (;;) {
        int n = epoll_wait(e, got, 8, -1);
        for (int i = 0; i < n; i++) {
            int s = got[i].data.fd;
            expect(s, counts[s]++);
            send_all(s, counts[s]++);
        }
    }
}
int main(void) {
    setvbuf(stdout, 0, _IOLBF, 0);
    signal(SIGTERM, done);
    struct sockaddr_in t = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(7000)};
    struct sockaddr_un u = {AF_UNIX, "/tmp/connections"}, a = {AF_UNIX, "\0connections"};
    struct sockaddr *names[3] = {(void *)&t, (void *)&u, (void *)&a};
    socklen_t sizes[3] = {sizeof t, sizeof u, sizeof a};
    int families[3] = {AF_INET, AF_UNIX, AF_UNIX}, kinds[3] = {SOCK_STREAM, SOCK_STREAM, SOCK_SEQPACKET};
    int listeners[3], ends[clients];
    for (int i = 0; i < 3; i++) listeners[i] = listener(families[i], names[i], sizes[i], kinds[i]);
    int server = fork();
    if (!server) serve(listeners);
    for (int i = 0; i < clients; i++) {
        ends[i] = socket(families[i % 3], kinds[i % 3], 0);
        if (connect(ends[i], names[i % 3], sizes[i % 3])) fail("connect");
    }
    for (unsigned number = 0;; number += 2) {
        for (int i = 0; i < clients; i++) send_all(ends[i], number);
        for (int i = 0; i < clients; i++) expect(ends[i], number + 1);
        printf("%u\n", number / 2 + 1);
    }
}
