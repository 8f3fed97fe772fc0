// Damaged executables: execve must refuse them or run them into a signal, and the server must go on.
// usage: elf SEED ROUNDS
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static uint64_t state;
static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static const uint64_t words[] = {
    0, 1, 7, 0xFFF, 0x1000, 0x10000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x3FFFEFFFF000, 0x3FFFF0000000,
    0x400000000000, 0x7FFFFFFFFFFF, 0x8000000000000000, 0xFFFFFFFFFFFFF000, 0xFFFFFFFFFFFFFFFF,
};

// Headers and program headers: what the loader reads.
enum { HEAD = 64 + 16 * 56 };

static void damage(unsigned char *head) {
    int count = 1 + (int)(next() % 6);
    for (int i = 0; i < count; i++) {
        uint64_t at = next() % HEAD;
        switch (next() % 4) {
        case 0: head[at] ^= (unsigned char)(1 << next() % 8); break;
        case 1: head[at] = (unsigned char)next(); break;
        default:
            at &= ~7ull;
            memcpy(head + at, &words[next() % (sizeof words / sizeof *words)], 8);
        }
    }
}

int main(int count, char **arguments) {
    if (count < 3) return 2;
    uint64_t rounds = strtoull(arguments[2], 0, 0), refused = 0, ran = 0, killed = 0;
    state = strtoull(arguments[1], 0, 0) * 2654435761u + 1;
    struct stat status;
    int self = open("/proc/self/exe", O_RDONLY);
    if (self < 0 || fstat(self, &status) < 0) return 3;
    unsigned char *image = mmap(0, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE, self, 0);
    const char *path = "/tmp/evertree-damaged";
    for (uint64_t i = 0; i < rounds; i++) {
        unsigned char head[HEAD];
        memcpy(head, image, HEAD);
        damage(head);
        int file = open(path, O_WRONLY | O_CREAT, 0755);
        if (file < 0) return 4;
        if (i == 0 && write(file, image, (size_t)status.st_size) != status.st_size) return 5;
        if (pwrite(file, head, HEAD, 0) != HEAD) return 6;
        close(file);
        pid_t pid = fork();
        if (pid == 0) {
            alarm(2);
            // What a damaged program says is no news.
            if (!freopen("/dev/null", "w", stderr)) _exit(127);
            execl(path, path, (char *)0);
            _exit(126);
        }
        int result;
        waitpid(pid, &result, 0);
        if (WIFSIGNALED(result)) killed++;
        else if (WEXITSTATUS(result) == 126) refused++;
        else ran++;
    }
    unlink(path);
    printf("%lu damaged executables: %lu refused, %lu ran, %lu were killed; the server answers\n", rounds, refused, ran,
           killed);
    return 0;
}
