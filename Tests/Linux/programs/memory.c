// Memory: brk, mappings private and shared, protection, remapping, files, what fork copies.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, long value) { printf("%s: %ld\n", what, value); }

int main(void) {
    char *start = sbrk(0);
    sbrk(100000);
    memset(start, 1, 100000);
    sbrk(-50000);
    char *grown = sbrk(50000);
    int dirty = 0;
    for (int i = 4096; i < 50000; i++) dirty += grown[i] != 0;
    say("bytes not zero after shrinking and growing", dirty);

    char *area = mmap(0, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    for (int i = 0; i < 1 << 20; i += 4096) area[i] = (char)(i >> 12);
    say("unmap the middle", munmap(area + 8192, 4096));
    say("protect a hole fails", mprotect(area, 16384, PROT_READ));
    say("errno", errno);
    say("protect", mprotect(area + 65536, 4096, PROT_NONE));
    say("read past a hole into it", write(-1, area, 1));
    int ends[2];
    pipe(ends);
    say("write from no access", write(ends[1], area + 65536, 10));
    say("errno", errno);
    say("partial write stops at the hole", write(ends[1], area + 4096, 8192));
    area = mremap(area + 131072, 65536, 1 << 18, MREMAP_MAYMOVE);
    say("moved byte", area[4096]);
    say("new byte", area[200000]);
    madvise(area, 65536, MADV_DONTNEED);
    say("discarded byte", area[4096]);

    int file = open("/tmp/evertree-memory-test", O_RDWR | O_CREAT | O_TRUNC, 0600);
    char text[10000];
    memset(text, 'a', sizeof text);
    write(file, text, sizeof text);
    char *shared = mmap(0, 10000, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    char *private = mmap(0, 10000, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
    char *view = mmap(0, 10000, PROT_READ, MAP_PRIVATE, file, 4096);
    shared[5000] = 'S';
    private[6000] = 'P';
    pread(file, text, 2, 5000);
    printf("file after a shared write: %c, view %c\n", text[0], view[5000 - 4096]);
    pread(file, text, 1, 6000);
    printf("file after a private write: %c\n", text[0]);
    pwrite(file, "W", 1, 100);
    printf("shared sees write(2): %c\n", shared[100]);
    mprotect(view, 4096, PROT_READ | PROT_WRITE);
    view[0] = 'V';
    pread(file, text, 1, 4096);
    printf("view is private: %c %c\n", view[0], text[0]);
    ftruncate(file, 5000);
    ftruncate(file, 8000);
    pread(file, text, 1, 5500);
    say("cut and extended", text[0]);

    int *both = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int *own = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    *both = 1;
    *own = 1;
    if (fork() == 0) {
        *both = 2;
        *own = 2;
        shared[1] = 'C';
        _exit(0);
    }
    wait(0);
    say("shared after fork", *both);
    say("own after fork", *own);
    printf("shared file after fork: %c\n", shared[1]);
    unlink("/tmp/evertree-memory-test");
    struct stat status;
    fstat(file, &status);
    say("links of an open file", (long)status.st_nlink);
    say("fixed over something", mmap(own, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == own);
    say("fresh", *own);
    say("no replace", (long)mmap(own, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    say("huge reservation", mmap(0, 1L << 36, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0) != MAP_FAILED);
    char *heap = malloc(30 << 20);
    memset(heap, 3, 30 << 20);
    heap = realloc(heap, 50 << 20);
    say("realloc", heap[(30 << 20) - 1]);
    free(heap);
    return 0;
}
