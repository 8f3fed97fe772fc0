#define _GNU_SOURCE
#include "hostkit.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

// Runs in the child: only async-signal-safe calls. Reports errno through `report` and never
// returns.
static void become(const struct hostkit_spawn *how, pid_t parent, int report) {
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (how->dies_with_parent) {
        setpgid(0, 0);  // a Ctrl-C at the terminal is for the guest's program, not for the machine
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (getppid() != parent) _exit(127);  // the parent died before prctl
    } else {
        setsid();
    }
    int failed = fchdir(how->directory) != 0 || dup2(how->input, 0) < 0 || dup2(how->output, 1) < 0
        || dup2(how->error, 2) < 0 || (how->inherited >= 0 && fcntl(how->inherited, F_SETFD, 0) < 0);
    if (!failed) execve(how->path, how->arguments, environ);
    int reason = errno;
    ssize_t ignored = write(report, &reason, sizeof reason);
    (void)ignored;
    _exit(127);
}

pid_t hostkit_spawn_process(const struct hostkit_spawn *how) {
    int report[2];
    if (pipe2(report, O_CLOEXEC) != 0) return -errno;
    pid_t parent = getpid();
    pid_t child = fork();
    if (child == 0) become(how, parent, report[1]);
    int failure = errno;
    close(report[1]);
    if (child < 0) {
        close(report[0]);
        return -failure;
    }
    int reason = 0;
    ssize_t count;
    do count = read(report[0], &reason, sizeof reason);
    while (count < 0 && errno == EINTR);
    close(report[0]);
    if (count != sizeof reason) return child;
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR) {}
    return -reason;
}

int hostkit_signal_descriptor(const int *signals, int count) {
    sigset_t set;
    sigemptyset(&set);
    for (int index = 0; index < count; index++) sigaddset(&set, signals[index]);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return -1;
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

int hostkit_next_signal(int descriptor) {
    struct signalfd_siginfo info;
    return read(descriptor, &info, sizeof info) == sizeof info ? (int)info.ssi_signo : 0;
}

int hostkit_process_descriptor(pid_t process) { return (int)syscall(SYS_pidfd_open, process, 0); }

int hostkit_watch(const char *path) {
    int descriptor = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
    if (descriptor >= 0 && inotify_add_watch(descriptor, path, IN_MODIFY) < 0) {
        close(descriptor);
        return -1;
    }
    return descriptor;
}

void hostkit_drain(int descriptor) {
    char buffer[4096];
    while (read(descriptor, buffer, sizeof buffer) > 0) {}
}

int hostkit_copy_range(int from, int to, off_t place, size_t length) {
    off64_t source = 0, target = place;
    while (length > 0) {
        ssize_t count = copy_file_range(from, &source, to, &target, length, 0);
        if (count <= 0) return -1;
        length -= (size_t)count;
    }
    return 0;
}

int hostkit_window_size(int descriptor, uint16_t *rows, uint16_t *columns) {
    struct winsize size;
    if (ioctl(descriptor, TIOCGWINSZ, &size) != 0) return -1;
    *rows = size.ws_row;
    *columns = size.ws_col;
    return 0;
}

int hostkit_connect(int directory, const char *name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int length = snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", directory, name);
    if (length < 0 || (size_t)length >= sizeof address.sun_path) return -1;
    int descriptor = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (descriptor < 0) return -1;
    if (connect(descriptor, (struct sockaddr *)&address, sizeof address) != 0) {
        close(descriptor);
        return -1;
    }
    fcntl(descriptor, F_SETFL, O_NONBLOCK);
    return descriptor;
}

extern const uint8_t evertree_probe_start[], evertree_probe_end[];

const void *hostkit_probe_guest(void) { return evertree_probe_start; }

size_t hostkit_probe_guest_size(void) { return (size_t)(evertree_probe_end - evertree_probe_start); }
