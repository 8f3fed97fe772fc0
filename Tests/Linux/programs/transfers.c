// Holes, seals, files without a name, and calls that move bytes between files: the same answers as Linux.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void say(const char *what, long result) { printf("%s: %ld %s\n", what, result, result < 0 ? strerror(errno) : ""); }
static void sum(int file) {
    struct stat status;
    fstat(file, &status);
    unsigned long hash = 5381;
    for (long at = 0; at < status.st_size; at++) { unsigned char byte; pread(file, &byte, 1, at); hash = hash * 33 + byte; }
    printf("size %ld hash %lx\n", (long)status.st_size, hash);
}
static char text[65536];

int main(void) {
    setvbuf(stdout, 0, _IOLBF, 0);
    for (int i = 0; i < 65536; i++) text[i] = 'a' + i / 100 % 26;
    int file = memfd_create("holes", MFD_ALLOW_SEALING);
    write(file, text, 16384);
    char *view = mmap(0, 16384, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    say("punch", fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 4000, 5000));
    printf("%d %d %d %d %d\n", view[3999], view[4000], view[8191], view[8999], view[9000]);
    sum(file);
    say("punch without keep", fallocate(file, FALLOC_FL_PUNCH_HOLE, 0, 4096));
    say("punch at the end", fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 16000, 50000));
    sum(file);
    say("collapse", fallocate(file, FALLOC_FL_COLLAPSE_RANGE, 0, 4096));
    say("two", fallocate(file, FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    say("nothing", fallocate(file, 0, 0, 0));
    say("below", fallocate(file, 0, -1, 10));
    say("unknown", fallocate(file, 0x80, 0, 10));
    say("grow", fallocate(file, 0, 20000, 10));
    say("keep", fallocate(file, FALLOC_FL_KEEP_SIZE, 30000, 10));
    sum(file);
    int pipes[2];
    pipe(pipes);
    say("pipe", fallocate(pipes[1], 0, 0, 10));
    say("directory", fallocate(open("/tmp", O_RDONLY), 0, 0, 10));
    // Seals.
    say("seals", fcntl(file, F_GET_SEALS));
    say("busy", fcntl(file, F_ADD_SEALS, F_SEAL_WRITE));
    munmap(view, 16384);
    say("shrink", fcntl(file, F_ADD_SEALS, F_SEAL_SHRINK));
    say("smaller", ftruncate(file, 10));
    say("grow", fcntl(file, F_ADD_SEALS, F_SEAL_GROW));
    say("larger", ftruncate(file, 1 << 20));
    say("across", pwrite(file, "xyz", 3, 20009));
    say("behind", pwrite(file, "xyz", 3, 20010));
    say("write", fcntl(file, F_ADD_SEALS, F_SEAL_WRITE));
    say("written", pwrite(file, "x", 1, 0));
    say("hole", fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
    say("shared", mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0) == MAP_FAILED ? -1 : 0);
    say("private", mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0) == MAP_FAILED ? -1 : 0);
    say("seal", fcntl(file, F_ADD_SEALS, F_SEAL_SEAL));
    say("more", fcntl(file, F_ADD_SEALS, F_SEAL_GROW));
    say("all", fcntl(file, F_GET_SEALS));
    say("not sealable", fcntl(memfd_create("x", 0), F_ADD_SEALS, F_SEAL_GROW));
    say("no memfd", fcntl(pipes[0], F_GET_SEALS));
    // A shared mapping of a file that was opened to read stays so.
    unlink("/tmp/evertree-transfers");
    int plain = open("/tmp/evertree-transfers", O_RDWR | O_CREAT | O_TRUNC, 0644), reader = open("/tmp/evertree-transfers", O_RDONLY);
    write(plain, text, 40000);
    char *shown = mmap(0, 4096, PROT_READ, MAP_SHARED, reader, 0);
    say("make writable", mprotect(shown, 4096, PROT_READ | PROT_WRITE));
    // copy_file_range
    int copy = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    loff_t from = 100, to = 50;
    say("copy", copy_file_range(plain, &from, copy, &to, 30000, 0));
    printf("%ld %ld\n", (long)from, (long)to);
    sum(copy);
    say("rest", copy_file_range(plain, &from, copy, 0, 1 << 20, 0));
    say("end", copy_file_range(plain, &from, copy, 0, 1, 0));
    from = 0, to = 10;
    say("overlap", copy_file_range(plain, &from, plain, &to, 100, 0));
    say("flags", copy_file_range(plain, 0, copy, 0, 1, 1));
    say("to a pipe", copy_file_range(plain, 0, pipes[1], 0, 1, 0));
    say("read only", copy_file_range(plain, 0, reader, 0, 1, 0));
    // preadv2, pwritev2
    struct iovec two[2] = {{text, 5}, {text + 5000, 7}};
    say("pwritev2", pwritev2(copy, two, 2, 10, 0));
    lseek(copy, 3, SEEK_SET);
    say("pwritev2 at the offset", pwritev2(copy, two, 2, -1, RWF_DSYNC));
    say("offset", lseek(copy, 0, SEEK_CUR));
    say("append", pwritev2(copy, two, 2, 0, RWF_APPEND));
    say("preadv2", preadv2(copy, two, 2, 0, 0));
    say("unknown", preadv2(copy, two, 2, 0, 0x400));
    say("no wait", preadv2(pipes[0], two, 2, -1, RWF_NOWAIT));
    say("offset of a pipe", preadv2(pipes[0], two, 2, 1, 0));
    sum(copy);
    say("sync", sync_file_range(copy, 0, 100, SYNC_FILE_RANGE_WRITE));
    say("sync flags", sync_file_range(copy, 0, 100, 8));
    say("sync pipe", sync_file_range(pipes[0], 0, 100, 0));
    // splice and tee
    int other[2];
    pipe(other);
    loff_t at = 200;
    say("in", splice(plain, &at, pipes[1], 0, 1000, 0));
    printf("at %ld\n", (long)at);
    say("tee", tee(pipes[0], other[1], 600, 0));
    say("between", splice(pipes[0], 0, other[1], 0, 300, 0));
    at = 5;
    say("out", splice(other[0], 0, copy, &at, 2000, 0));
    printf("at %ld\n", (long)at);
    say("rest", splice(pipes[0], 0, copy, 0, 2000, 0));
    sum(copy);
    say("empty", splice(pipes[0], 0, copy, 0, 1, SPLICE_F_NONBLOCK));
    say("two files", splice(plain, 0, copy, 0, 1, 0));
    say("offset of a pipe", splice(plain, 0, pipes[1], &at, 1, 0));
    say("tee of a file", tee(plain, pipes[1], 1, 0));
    say("same pipe", tee(pipes[0], pipes[1], 1, SPLICE_F_NONBLOCK));
    close(other[1]);
    say("ended", splice(other[0], 0, copy, 0, 1, 0));
    struct iovec one = {text, 100};
    say("vmsplice", vmsplice(pipes[1], &one, 1, 0));
    say("read", read(pipes[0], text, 1000));
    // Files without a name.
    char path[64];
    snprintf(path, sizeof path, "/proc/self/fd/%d", copy);
    unlink("/tmp/evertree-linked");
    say("link", linkat(AT_FDCWD, path, AT_FDCWD, "/tmp/evertree-linked", AT_SYMLINK_FOLLOW));
    say("again", linkat(AT_FDCWD, path, AT_FDCWD, "/tmp/evertree-linked", AT_SYMLINK_FOLLOW));
    struct stat status;
    stat("/tmp/evertree-linked", &status);
    printf("mode %o links %ld size %ld\n", status.st_mode, (long)status.st_nlink, (long)status.st_size);
    int bound = open("/tmp", O_TMPFILE | O_RDWR | O_EXCL, 0600);
    snprintf(path, sizeof path, "/proc/self/fd/%d", bound);
    say("bound", linkat(AT_FDCWD, path, AT_FDCWD, "/tmp/evertree-bound", AT_SYMLINK_FOLLOW));
    say("to read", open("/tmp", O_TMPFILE | O_RDONLY, 0600));
    say("in a file", open("/tmp/evertree-linked", O_TMPFILE | O_RDWR, 0600));
    unlink("/tmp/evertree-linked");
    unlink("/tmp/evertree-transfers");
    // What a child gets of memory.
    char *page = mmap(0, 3 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(page, 7, 3 * 4096);
    say("wipe", madvise(page, 4096, MADV_WIPEONFORK));
    say("not", madvise(page + 4096, 4096, MADV_DONTFORK));
    say("wipe shared", madvise(shown, 4096, MADV_WIPEONFORK));
    say("nothing there", madvise((void *)0x10000, 4096, MADV_DONTFORK));
    fflush(stdout);
    int state;
    if (!fork()) {
        printf("child %d %d", page[0], page[8192]);
        fflush(stdout);
        page[4096] = 1;
        _exit(0);
    }
    wait(&state);
    printf(" signal %d\n", WTERMSIG(state));
    madvise(page, 4096, MADV_KEEPONFORK);
    madvise(page + 4096, 4096, MADV_DOFORK);
    fflush(stdout);
    if (!fork()) { printf("child %d %d %d\n", page[0], page[4096], page[8192]); fflush(stdout); _exit(0); }
    wait(&state);
    return 0;
}
