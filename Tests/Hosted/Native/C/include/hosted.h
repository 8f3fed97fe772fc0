// What Swift cannot call on Linux: fork-like calls, variadic ptrace(2), thread-local storage.
#ifndef EVERTREE_HOSTED_H
#define EVERTREE_HOSTED_H
#include <stdint.h>
#include <sys/user.h>

// The calling thread's own object; NULL at first.
void *evertree_hosted_thread(void);
void evertree_hosted_set_thread(void *thread);

// A stopped child that the calling thread traces. It shares the file descriptors, so that memfds have the same numbers.
// `page` is shared memory that holds a `syscall` instruction. Negative: -errno.
int evertree_hosted_child(void);

long evertree_hosted_get_registers(int pid, struct user_regs_struct *registers);
long evertree_hosted_set_registers(int pid, const struct user_regs_struct *registers);
// 512 bytes in FXSAVE form.
long evertree_hosted_get_fpu(int pid, void *state);
long evertree_hosted_set_fpu(int pid, const void *state);
// Runs until the next system call, which is not performed, or signal. The wait status; negative: -errno.
int evertree_hosted_run(int pid);
// Runs real system calls of the child's own: until the next signal (the stub ends in a breakpoint).
int evertree_hosted_run_stub(int pid);
// si_code and si_addr of the signal that stopped the child.
int evertree_hosted_signal_code(int pid, uint64_t *address);
int evertree_hosted_kick(int pid);
int evertree_hosted_memfd(void);
// Creates the page for `evertree_hosted_child`'s stub, shared between tracer and child.
void *evertree_hosted_stub_page(void);
// Makes a hole: the pages read as zeros again.
int evertree_hosted_punch(int descriptor, uint64_t offset, uint64_t length);
#endif
