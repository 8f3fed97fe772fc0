// A server for published ports: what comes to port 7 goes back; each byte that comes to port 8 is answered with the
// next number of one counter, nine bytes. One process, poll(2); a connection's bytes wait while its client does not
// read. SIGTERM ends it.
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { SIZE = 9 * 4096, MOST = 4096 };
struct connection {
    int counts, ended, used;
    char *bytes;
};
static struct pollfd polls[2 + MOST];
static struct connection all[2 + MOST];
static int count = 2;
static unsigned long counter;

static int listener(int port) {
    struct sockaddr_in name = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1, s = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(s, (struct sockaddr *)&name, sizeof name) || listen(s, 64)) perror("listen"), exit(1);
    return s;
}

// 0: the connection is over.
static int serve(struct pollfd *p, struct connection *c) {
    if (p->revents & (POLLIN | POLLHUP | POLLERR) && !c->ended && c->used < SIZE - 8192) {
        char in[8192];
        int most = c->counts ? (SIZE - c->used) / 9 : SIZE - c->used;
        int n = recv(p->fd, in, most < (int)sizeof in ? most : (int)sizeof in, 0);
        if (n < 0 && errno != EAGAIN) return 0;
        if (n == 0) c->ended = 1;
        for (int i = 0; c->counts && i < n; i++) c->used += sprintf(c->bytes + c->used, "%08lx\n", ++counter);
        if (!c->counts && n > 0) memcpy(c->bytes + c->used, in, n), c->used += n;
    }
    if (c->used > 0) {
        int n = send(p->fd, c->bytes, c->used, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN) return 0;
        if (n > 0) memmove(c->bytes, c->bytes + n, c->used -= n);
    }
    p->events = (c->used > 0 ? POLLOUT : 0) | (!c->ended && c->used < SIZE - 8192 ? POLLIN : 0);
    return !(c->ended && c->used == 0);
}

static void stop(int signal) { exit(signal == SIGTERM ? 0 : 1); }

int main(void) {
    signal(SIGTERM, stop);
    for (int i = 0; i < 2; i++) polls[i].fd = listener(7 + i), polls[i].events = POLLIN;
    puts("ready");
    fflush(stdout);
    while (poll(polls, count, -1) >= 0) {
        for (int i = count - 1; i >= 2; i--) {
            if (!polls[i].revents || serve(&polls[i], &all[i])) continue;
            close(polls[i].fd);
            free(all[i].bytes);
            polls[i] = polls[--count];
            all[i] = all[count];
        }
        for (int i = 0; i < 2; i++) {
            int s;
            while (count < 2 + MOST && (s = accept4(polls[i].fd, 0, 0, SOCK_NONBLOCK)) >= 0) {
                polls[count] = (struct pollfd){s, POLLIN, 0};
                all[count++] = (struct connection){.counts = i, .bytes = malloc(SIZE + 16)};
            }
        }
    }
}
