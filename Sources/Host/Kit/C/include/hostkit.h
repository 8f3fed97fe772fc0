// What the host library needs from Linux and cannot say in Swift: atomic accesses to shared memory,
// a child process between fork(2) and execve(2), and calls with variable arguments.
#ifndef EVERTREE_HOSTKIT_H
#define EVERTREE_HOSTKIT_H
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

// Accesses to words that another process, or a guest, changes at the same time.
static inline uint64_t hostkit_load_acquire(const void *address) {
    return __atomic_load_n((const uint64_t *)address, __ATOMIC_ACQUIRE);
}
static inline void hostkit_store_release(void *address, uint64_t value) {
    __atomic_store_n((uint64_t *)address, value, __ATOMIC_RELEASE);
}

// How to start a virtual machine.
struct hostkit_spawn {
    const char *path;
    char *const *arguments;
    // The directory to start in.
    int directory;
    // Descriptors for the child's standard input, output and error.
    int input, output, error;
    // A descriptor that the child keeps open over execve (the store's lock); -1 for none.
    int inherited;
    // The child is killed when the calling thread ends. If 0, it gets a session of its own.
    int dies_with_parent;
};

// Starts a process. Returns its id, or a negated errno of fork or execve.
pid_t hostkit_spawn_process(const struct hostkit_spawn *how);

// A descriptor that becomes readable when one of the signals arrives; they are blocked for the
// caller.
int hostkit_signal_descriptor(const int *signals, int count);
// The next signal waiting in that descriptor, 0 when there is none.
int hostkit_next_signal(int descriptor);
// A descriptor that becomes readable when the process ends, or -1.
int hostkit_process_descriptor(pid_t process);
// A descriptor that becomes readable when the file grows, or -1; and a call that empties it.
int hostkit_watch(const char *path);
void hostkit_drain(int descriptor);

// Copies a file's first bytes to a place in another (copy_file_range(2)). 0, or -1 when not all of them
// could be copied so.
int hostkit_copy_range(int from, int to, off_t place, size_t length);

// Rows and columns of a terminal; 0 on success.
int hostkit_window_size(int descriptor, uint16_t *rows, uint16_t *columns);
// Connects to a Unix socket `name` in the directory, whose own path may be too long for a socket
// address. -1 on error.
int hostkit_connect(int directory, const char *name);

// An epoll(7) instance, or -1.
int hostkit_epoll(void);
// Tells of changes of a descriptor (edge triggered): readable, writable, hung up. 0, or -1.
int hostkit_epoll_add(int epoll, int descriptor, uint64_t tag);
// What happened: up to `count` tags, and for each whether it may be read (1), written (2), has an error (4). How many.
int hostkit_epoll_take(int epoll, uint64_t *tags, uint8_t *events, int count);
// A listening TCP socket on a numeric address and a port (0: any), non-blocking. A negated errno on error.
int hostkit_listen(const char *address, uint16_t port);
// The port that a socket is bound to.
uint16_t hostkit_local_port(int socket);
// The next client, non-blocking, with its address as IPv6 has it in two numbers, the high one first. It is
// reset when it is closed (or its holder killed) before hostkit_orderly. A negated errno on error.
int hostkit_accept(int listener, uint64_t address[2], uint16_t *port);
// From now on, closing the socket is a good end.
void hostkit_orderly(int socket);

// A guest of some hundred bytes, position 0 of a 64 KiB firmware image (see probe.S).
const void *hostkit_probe_guest(void);
size_t hostkit_probe_guest_size(void);
#endif
