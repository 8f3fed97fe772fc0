// Sockets within the machine: names, ends, messages with descriptors, options, readiness, errors.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *ok(long r) { return r < 0 ? strerrorname_np(errno) : "ok"; }
static short events(int f) {
    struct pollfd p = {f, POLLIN | POLLOUT | POLLRDHUP | POLLRDNORM | POLLWRNORM, 0};
    poll(&p, 1, 0);
    return p.revents;
}
// Waits until the other end's answer has come: readiness, or an error or hang-up if none is asked for.
static void until(int f, short wanted) { poll(&(struct pollfd){f, wanted, 0}, 1, -1); }
static struct sockaddr_un unix_name(const char *text, socklen_t *size) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    memcpy(a.sun_path, text + (*text == '@'), strlen(text) - (*text == '@'));
    if (*text == '@') { memset(a.sun_path, 0, sizeof a.sun_path); memcpy(a.sun_path + 1, text + 1, strlen(text) - 1); }
    *size = offsetof(struct sockaddr_un, sun_path) + strlen(text) + (*text != '@');
    return a;
}
static void names(void) {
    socklen_t n, m;
    struct sockaddr_un a = unix_name("/tmp/evertree-sockets", &n), b = {0};
    unlink(a.sun_path);
    int l = socket(AF_UNIX, SOCK_STREAM, 0), c = socket(AF_UNIX, SOCK_STREAM, 0), x = socket(AF_UNIX, SOCK_STREAM, 0);
    printf("absent %s\n", ok(connect(c, (void *)&a, n)));
    printf("listen unbound %s\n", ok(listen(x, 1)));
    printf("bind %s", ok(bind(l, (void *)&a, n)));
    printf(" again %s", ok(bind(l, (void *)&a, n)));
    printf(" other %s", ok(bind(x, (void *)&a, n)));
    printf(" not listening %s\n", ok(connect(c, (void *)&a, n)));
    struct stat s;
    stat(a.sun_path, &s);
    printf("node %d open %s\n", S_ISSOCK(s.st_mode), ok(open(a.sun_path, O_RDWR)));
    printf("listen %s", ok(listen(l, 0)));
    printf(" connect %s", ok(connect(c, (void *)&a, n)));
    printf("\n");
    int full = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    printf("full %s\n", ok(connect(full, (void *)&a, n)));
    m = sizeof b;
    int s1 = accept(l, (void *)&b, &m);
    printf("again %s", ok(connect(c, (void *)&a, n)));
    printf(" peer name %d", m);
    m = sizeof b;
    getsockname(s1, (void *)&b, &m);
    printf(" own %d %s", m, b.sun_path);
    m = sizeof b;
    getpeername(c, (void *)&b, &m);
    printf(" other %d %s\n", m, b.sun_path);
    struct sockaddr_un d = unix_name("@evertree", &n);
    int g = socket(AF_UNIX, SOCK_DGRAM, 0), h = socket(AF_UNIX, SOCK_DGRAM, 0);
    printf("abstract %s", ok(bind(g, (void *)&d, n)));
    printf(" %s", ok(sendto(h, "hi", 2, 0, (void *)&d, n)));
    printf(" type %s", ok(connect(x, (void *)&d, n)));
    char t[16];
    m = sizeof b;
    printf(" got %zd", recvfrom(g, t, 16, 0, (void *)&b, &m));
    printf(" from %d\n", m);
    close(g);
    printf("gone %s\n", ok(sendto(h, "hi", 2, 0, (void *)&d, n)));
    unlink(a.sun_path);
}
static void ends(void) {
    int p[2];
    char t[64];
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    printf("fresh %x %x", events(p[0]), events(p[1]));
    write(p[0], "abcdef", 6);
    printf(" unread %x", events(p[1]));
    printf(" peek %zd", recv(p[1], t, 3, MSG_PEEK));
    printf(" all %zd", recv(p[1], t, 6, MSG_WAITALL));
    printf(" empty %s", ok(recv(p[1], t, 1, MSG_DONTWAIT)));
    shutdown(p[0], SHUT_WR);
    printf(" half %x %x", events(p[0]), events(p[1]));
    printf(" read %zd", read(p[1], t, 1));
    write(p[1], "x", 1);
    close(p[1]);
    printf(" closed %x", events(p[0]));
    printf(" read %zd", read(p[0], t, 4));
    printf(" %s", ok(read(p[0], t, 1)));
    printf(" write %s\n", ok(send(p[0], "y", 1, MSG_NOSIGNAL)));
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    write(p[0], "never read", 10);
    close(p[1]);
    printf("unread close %x", events(p[0]));
    printf(" read %s", ok(read(p[0], t, 1)));
    printf(" then %zd\n", read(p[0], t, 1));
    int q[2];
    socketpair(AF_UNIX, SOCK_SEQPACKET, 0, q);
    send(q[0], "first", 5, 0);
    send(q[0], "second", 6, 0);
    struct iovec v = {t, 3};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1};
    printf("packet %zd", recvmsg(q[1], &h, 0));
    printf(" cut %d", !!(h.msg_flags & MSG_TRUNC));
    printf(" long %zd", recv(q[1], t, 1, MSG_TRUNC));
    close(q[0]);
    printf(" end %zd", recv(q[1], t, 1, 0));
    printf(" %x\n", events(q[1]));
    socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, q);
    int i = 0;
    while (send(q[0], t, 8, 0) == 8) i++;
    printf("datagrams %d %s %x", i, ok(-1), events(q[0]));
    recv(q[1], t, 8, 0);
    printf(" room %x", events(q[0]));
    close(q[1]);
    printf(" gone %s\n", ok(send(q[0], t, 8, 0)));
}
static void tcp(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)}, b;
    socklen_t n = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM, 0), c = socket(AF_INET, SOCK_STREAM, 0), x = socket(AF_INET, SOCK_STREAM, 0);
    char t[64];
    printf("tcp fresh %x", events(l));
    printf(" bind %s", ok(bind(l, (void *)&a, n)));
    getsockname(l, (void *)&a, &n);
    printf(" in use %s", ok(bind(x, (void *)&a, n)));
    printf(" refused %s", ok(connect(c, (void *)&a, n)));
    printf(" listen %s", ok(listen(l, 5)));
    printf(" %x", events(l));
    printf(" connect %s", ok(connect(c, (void *)&a, n)));
    printf(" again %s", ok(connect(c, (void *)&a, n)));
    printf(" waiting %x", events(l));
    n = sizeof b;
    int s = accept4(l, (void *)&b, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
    printf(" flags %x %x", fcntl(s, F_GETFL) & O_NONBLOCK, fcntl(s, F_GETFD));
    n = sizeof a;
    struct sockaddr_in o;
    getsockname(c, (void *)&o, &n);
    printf(" names %d", o.sin_port == b.sin_port && o.sin_addr.s_addr == b.sin_addr.s_addr);
    printf(" read %s", ok(read(s, t, 1)));
    struct iovec v[3] = {{"ab", 2}, {"", 0}, {"cde", 3}};
    printf(" writev %zd", writev(c, v, 3));
    int k = 0;
    ioctl(s, FIONREAD, &k);
    printf(" unread %d %x\n", k, events(s));
    FILE *f = tmpfile();
    fputs("from a file", f);
    fflush(f);
    off_t at = 5;
    printf("sendfile %zd", sendfile(c, fileno(f), &at, 6));
    printf(" read %zd\n", read(s, t, 64));
    shutdown(c, SHUT_WR);
    printf("half %x %x", events(c), events(s));
    close(c);
    printf(" read %zd", read(s, t, 1));
    printf(" first write %zd", send(s, "x", 1, MSG_NOSIGNAL));
    until(s, 0);
    printf(" after %x", events(s));
    printf(" second %s\n", ok(send(s, "x", 1, MSG_NOSIGNAL)));
    int e = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = -1;
    printf("later %s", ok(connect(e, (void *)&a, sizeof a)));
    until(e, POLLOUT);
    n = sizeof error;
    printf(" ready %x", events(e));
    getsockopt(e, SOL_SOCKET, SO_ERROR, &error, &n);
    printf(" error %d\n", error);
    a.sin_addr.s_addr = htonl(0x08080808);
    printf("bind elsewhere %s\n", ok(bind(x, (void *)&a, sizeof a)));
    close(l);
    until(e, 0);
    printf("listener gone %s\n", ok(read(e, t, 1)));
}
static void udp(void) {
    struct sockaddr_in6 a = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_ANY_INIT};
    struct sockaddr_in f = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int r = socket(AF_INET6, SOCK_DGRAM, 0), s = socket(AF_INET, SOCK_DGRAM, 0);
    char t[64], z[64];
    bind(r, (void *)&a, n);
    getsockname(r, (void *)&a, &n);
    f.sin_port = a.sin6_port;
    printf("udp %s", ok(send(s, "x", 1, 0)));
    printf(" to %zd", sendto(s, "hello", 5, 0, (void *)&f, sizeof f));
    n = sizeof a;
    printf(" got %zd", recvfrom(r, t, 64, 0, (void *)&a, &n));
    printf(" from %s", inet_ntop(AF_INET6, &a.sin6_addr, z, sizeof z));
    struct mmsghdr many[3] = {0};
    struct iovec v[3];
    connect(s, (void *)&f, sizeof f);
    for (int i = 0; i < 3; i++) {
        v[i] = (struct iovec){"abc", i + 1};
        many[i].msg_hdr.msg_iov = &v[i];
        many[i].msg_hdr.msg_iovlen = 1;
    }
    printf(" many %d", sendmmsg(s, many, 3, 0));
    for (int i = 0; i < 3; i++) v[i] = (struct iovec){t + i * 8, 2};
    printf(" received %d:", recvmmsg(r, many, 3, MSG_WAITFORONE, 0));
    for (int i = 0; i < 3; i++) printf(" %u/%x", many[i].msg_len, many[i].msg_hdr.msg_flags);
    close(r);
    printf(" nobody %s", ok(send(s, "x", 1, 0)));
    until(s, 0);
    printf(" told %s", ok(send(s, "x", 1, 0)));
    printf(" big %s\n", ok(sendto(s, t, 70000, 0, (void *)&f, sizeof f)));
}
static void passing(void) {
    int p[2], pipe_ends[2], i, many[4] = {0};
    char control[256] = "", data[4] = "";
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    pipe(pipe_ends);
    struct iovec v = {"abcd", 4};
    struct msghdr h = {.msg_iov = &v, .msg_iovlen = 1, .msg_control = control, .msg_controllen = CMSG_SPACE(8)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&h);
    *c = (struct cmsghdr){.cmsg_len = CMSG_LEN(8), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
    memcpy(CMSG_DATA(c), pipe_ends, 8);
    for (i = 0; i < 2; i++) printf("pass %zd ", sendmsg(p[0], &h, 0));
    close(pipe_ends[0]);
    close(pipe_ends[1]);
    v = (struct iovec){data, 2};
    h.msg_controllen = sizeof control;
    printf("got %zd", recvmsg(p[1], &h, MSG_CMSG_CLOEXEC));
    c = CMSG_FIRSTHDR(&h);
    memcpy(many, CMSG_DATA(c), 8);
    printf(" control %zu %zu flags %x close %d", h.msg_controllen, c->cmsg_len, h.msg_flags, fcntl(many[0], F_GETFD));
    write(many[1], "!", 1);
    printf(" through %zd", read(many[0], data, 1));
    h.msg_controllen = CMSG_SPACE(4) - 4;
    v.iov_len = 4;
    printf(" rest %zd control %zu", recvmsg(p[1], &h, 0), h.msg_controllen);
    h.msg_controllen = CMSG_LEN(4);
    printf(" next %zd", recvmsg(p[1], &h, 0));
    printf(" cut %d control %zu\n", !!(h.msg_flags & MSG_CTRUNC), h.msg_controllen);
    struct ucred u;
    socklen_t n = sizeof u;
    getsockopt(p[0], SOL_SOCKET, SO_PEERCRED, &u, &n);
    printf("peer %d %u\n", u.pid == getpid(), u.uid);
}
static void options(void) {
    int s = socket(AF_INET, SOCK_STREAM, 0), u = socket(AF_UNIX, SOCK_STREAM, 0), v;
    socklen_t n = sizeof v;
    printf("families %s", ok(socket(99, SOCK_STREAM, 0)));
    printf(" %s", ok(socket(AF_INET, SOCK_STREAM, 17)));
    printf(" %s", ok(socket(AF_UNIX, 9, 0)));
    printf(" %s", ok(socketpair(AF_INET, SOCK_STREAM, 0, &v)));
    printf(" not a socket %s", ok(listen(0, 1)));
    printf(" unix level %s", ok(setsockopt(u, IPPROTO_TCP, TCP_NODELAY, &v, sizeof v)));
    v = 4096;
    setsockopt(s, SOL_SOCKET, SO_RCVBUF, &v, sizeof v);
    getsockopt(s, SOL_SOCKET, SO_RCVBUF, &v, &n);
    printf(" buffer %d", v);
    struct timeval t = {0, 40000}, back;
    n = sizeof back;
    setsockopt(u, SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    getsockopt(u, SOL_SOCKET, SO_RCVTIMEO, &back, &n);
    printf(" time %ld", back.tv_usec);
    int p[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, p);
    setsockopt(p[0], SOL_SOCKET, SO_RCVTIMEO, &t, sizeof t);
    printf(" timeout %s\n", ok(read(p[0], &v, 1)));
}
// Many sockets: as many connections as descriptors allow, all through one epoll.
static void crowd(void) {
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int l = socket(AF_INET, SOCK_STREAM, 0), e = epoll_create1(0), total = 0, c[300];
    bind(l, (void *)&a, n);
    listen(l, 400);
    getsockname(l, (void *)&a, &n);
    for (int i = 0; i < 300; i++) {
        c[i] = socket(AF_INET, SOCK_STREAM, 0);
        connect(c[i], (void *)&a, sizeof a);
        struct epoll_event v = {.events = EPOLLIN | EPOLLET, .data.fd = accept(l, 0, 0)};
        epoll_ctl(e, EPOLL_CTL_ADD, v.data.fd, &v);
    }
    for (int i = 0; i < 300; i += 3) write(c[i], &i, sizeof i);
    struct epoll_event v[16];
    int k, value, last = 0;
    while (total < 100 && (k = epoll_wait(e, v, 16, -1)) > 0)
        for (int i = 0; i < k; i++) {
            total++;
            read(v[i].data.fd, &value, sizeof value);
            last += value;
        }
    printf("crowd %d sum %d more %d\n", total, last, epoll_wait(e, v, 16, 0));
}
int main(void) {
    setvbuf(stdout, 0, _IONBF, 0);
    signal(SIGPIPE, SIG_IGN);
    void (*cases[])(void) = {names, ends, tcp, udp, passing, options, crowd};
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        int status;
        if (!fork()) {
            alarm(600);
            cases[i]();
            _exit(0);
        }
        wait(&status);
        if (WIFSIGNALED(status)) printf(" case %u ended by signal %d\n", i, WTERMSIG(status));
    }
}
