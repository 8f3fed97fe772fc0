// Sockets of published ports: what takes structures that Swift does not import well.
#define _GNU_SOURCE
#include "hostkit.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

int hostkit_epoll(void) { return epoll_create1(EPOLL_CLOEXEC); }

int hostkit_epoll_add(int epoll, int descriptor, uint64_t tag) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.u64 = tag};
    return epoll_ctl(epoll, EPOLL_CTL_ADD, descriptor, &event);
}

int hostkit_epoll_take(int epoll, uint64_t *tags, uint8_t *events, int count) {
    struct epoll_event found[64];
    int taken = epoll_wait(epoll, found, count < 64 ? count : 64, 0);
    for (int i = 0; i < taken; i++) {
        uint32_t what = found[i].events;
        uint32_t ended = what & (EPOLLERR | EPOLLHUP);
        tags[i] = found[i].data.u64;
        events[i] = (what & (EPOLLIN | EPOLLRDHUP) || ended ? 1 : 0) | (what & EPOLLOUT || ended ? 2 : 0) |
                    (what & EPOLLERR ? 4 : 0);
    }
    return taken < 0 ? 0 : taken;
}

int hostkit_listen(const char *address, uint16_t port) {
    char service[8];
    snprintf(service, sizeof service, "%u", port);
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE, .ai_socktype = SOCK_STREAM};
    struct addrinfo *found;
    if (getaddrinfo(address, service, &hints, &found) != 0) return -EINVAL;
    int on = 1, error = 0;
    int s = socket(found->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    // Connections of an earlier command may still be ending; a listener is refused all the same.
    if (s < 0 || setsockopt(s, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (found->ai_family == AF_INET6 && setsockopt(s, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(s, found->ai_addr, found->ai_addrlen) != 0 || listen(s, SOMAXCONN) != 0)
        error = errno;
    freeaddrinfo(found);
    if (error == 0) return s;
    if (s >= 0) close(s);
    return -error;
}

uint16_t hostkit_local_port(int socket) {
    struct sockaddr_in6 name = {0};
    socklen_t length = sizeof name;
    // The port has one place in both families.
    return getsockname(socket, (struct sockaddr *)&name, &length) == 0 ? ntohs(name.sin6_port) : 0;
}

int hostkit_accept(int listener, uint64_t address[2], uint16_t *port) {
    struct sockaddr_storage name;
    socklen_t length = sizeof name;
    int s;
    do
        s = accept4(listener, (struct sockaddr *)&name, &length, SOCK_CLOEXEC | SOCK_NONBLOCK);
    while (s < 0 && (errno == EINTR || errno == ECONNABORTED || errno == EPROTO));
    if (s < 0) return -errno;
    unsigned char bytes[16] = {[10] = 0xff, [11] = 0xff};
    if (name.ss_family == AF_INET6) {
        const struct sockaddr_in6 *six = (const void *)&name;
        memcpy(bytes, &six->sin6_addr, 16);
        *port = ntohs(six->sin6_port);
    } else {
        const struct sockaddr_in *four = (const void *)&name;
        memcpy(bytes + 12, &four->sin_addr, 4);
        *port = ntohs(four->sin_port);
    }
    for (int half = 0; half < 2; half++) {
        address[half] = 0;
        for (int i = 0; i < 8; i++) address[half] = address[half] << 8 | bytes[half * 8 + i];
    }
    int on = 1;
    struct linger reset = {.l_onoff = 1, .l_linger = 0};
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    setsockopt(s, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    setsockopt(s, SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
    return s;
}

void hostkit_orderly(int socket) {
    struct linger none = {0};
    setsockopt(socket, SOL_SOCKET, SO_LINGER, &none, sizeof none);
}
