#define _GNU_SOURCE
#include "hosted.h"
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static __thread void *current_thread;

void *evertree_hosted_thread(void) { return current_thread; }
void evertree_hosted_set_thread(void *thread) { current_thread = thread; }

int evertree_hosted_child(void) {
    long pid = syscall(SYS_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0);
    if (pid == 0) {
        // Only raw system calls here: other threads' locks may be held in this copy.
        // The kernel would go on writing to the restartable-sequence area, which the guest's memory does not have.
        if (__rseq_size) {
            char *area = (char *)__builtin_thread_pointer() + __rseq_offset;
            syscall(SYS_rseq, area, 32, RSEQ_FLAG_UNREGISTER, RSEQ_SIG);
        }
        syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
        syscall(SYS_ptrace, PTRACE_TRACEME, 0, 0, 0);
        syscall(SYS_tkill, syscall(SYS_gettid), SIGSTOP);
        for (;;) syscall(SYS_exit_group, 1);
    }
    if (pid < 0) return -errno;
    int status;
    if (waitpid((pid_t)pid, &status, __WALL) < 0) return -errno;
    ptrace(PTRACE_SETOPTIONS, (pid_t)pid, 0, (void *)(PTRACE_O_TRACESYSGOOD | PTRACE_O_EXITKILL));
    return (int)pid;
}

long evertree_hosted_get_registers(int pid, struct user_regs_struct *registers) {
    return ptrace(PTRACE_GETREGS, pid, 0, registers);
}
long evertree_hosted_set_registers(int pid, const struct user_regs_struct *registers) {
    return ptrace(PTRACE_SETREGS, pid, 0, registers);
}
long evertree_hosted_get_fpu(int pid, void *state) { return ptrace(PTRACE_GETFPREGS, pid, 0, state); }
long evertree_hosted_set_fpu(int pid, const void *state) { return ptrace(PTRACE_SETFPREGS, pid, 0, state); }

static int run(int pid, int request) {
    if (ptrace(request, pid, 0, 0) < 0) return -errno;
    int status;
    while (waitpid(pid, &status, __WALL) < 0)
        if (errno != EINTR) return -errno;
    return status;
}

int evertree_hosted_run(int pid) { return run(pid, PTRACE_SYSEMU); }
int evertree_hosted_run_stub(int pid) { return run(pid, PTRACE_CONT); }

int evertree_hosted_signal_code(int pid, uint64_t *address) {
    siginfo_t info;
    memset(&info, 0, sizeof info);
    ptrace(PTRACE_GETSIGINFO, pid, 0, &info);
    *address = (uint64_t)(uintptr_t)info.si_addr;
    return info.si_code;
}

int evertree_hosted_kick(int pid) { return kill(pid, SIGURG); }

int evertree_hosted_memfd(void) { return memfd_create("evertree", MFD_CLOEXEC); }

void *evertree_hosted_stub_page(void) {
    unsigned char *page =
        mmap(0, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED) return 0;
    static const unsigned char code[] = {0x0F, 0x05, 0xCC};  // syscall; int3
    memcpy(page, code, sizeof code);
    return page;
}

int evertree_hosted_punch(int descriptor, uint64_t offset, uint64_t length) {
    return fallocate(descriptor, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
}
