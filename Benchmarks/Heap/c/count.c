// Counts what a transaction costs without a clock: runs a program, single-steps it between its first two SIGUSR1
// marks, and prints instructions, fences and line write-backs per operation.
//   count OPERATIONS PROGRAM ARGUMENTS...
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

// Continues the child to its next mark; 0 if it ended.
static int run_to_mark(pid_t child) {
    int status, signal = 0;
    for (;;) {
        ptrace(PTRACE_CONT, child, 0, (void *)(long)signal);
        if (waitpid(child, &status, __WALL) < 0 || !WIFSTOPPED(status)) return 0;
        signal = WSTOPSIG(status);
        if (signal == SIGUSR1) return 1;
        if (signal == SIGTRAP) signal = 0;
    }
}

// Names the instruction at `code`: 'f' store fence, 'c' write-back of a line, 0 any other.
static char kind(const uint8_t *code) {
    int prefix = code[0] == 0x66;
    const uint8_t *at = code + prefix;
    if ((at[0] & 0xF0) == 0x40) at++;  // REX
    if (at[0] != 0x0F || at[1] != 0xAE) return 0;
    if (at[2] == 0xF8) return 'f';
    int is_memory = at[2] < 0xC0, extension = at[2] >> 3 & 7;
    return is_memory && ((prefix && extension == 6) || extension == 7) ? 'c' : 0;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    pid_t child = fork();
    if (child == 0) {
        ptrace(PTRACE_TRACEME, 0, 0, 0);
        setenv("HEAP_BENCH_MARK", "1", 1);
        execvp(argv[2], argv + 2);
        _exit(127);
    }
    int status;
    waitpid(child, &status, 0);
    if (!run_to_mark(child)) return 1;
    uint64_t instructions = 0, fences = 0, lines = 0, last = 0;
    for (;;) {
        ptrace(PTRACE_SINGLESTEP, child, 0, 0);
        if (waitpid(child, &status, __WALL) < 0 || !WIFSTOPPED(status)) return 1;
        if (WSTOPSIG(status) == SIGUSR1) break;
        struct user_regs_struct registers;
        ptrace(PTRACE_GETREGS, child, 0, &registers);
        uint64_t code[2];
        code[0] = (uint64_t)ptrace(PTRACE_PEEKTEXT, child, (void *)registers.rip, 0);
        char what = kind((uint8_t *)code);
        instructions += registers.rip != last;  // one round more of a repeated string instruction is not another
        fences += what == 'f';
        lines += what == 'c';
        last = registers.rip;
    }
    kill(child, SIGKILL);
    double operations = strtod(argv[1], 0);
    printf("instructions %.1f\tfences %.2f\twrite-backs %.2f\n", (double)instructions / operations,
           (double)fences / operations, (double)lines / operations);
    return 0;
}
