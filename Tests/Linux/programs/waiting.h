// What these programs share: to go on when another process waits, however fast the host is.
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

// Returns once the child sleeps or has ended. It must do so where the test wants it to, and nowhere before.
static void until_it_waits(int child) {
    char name[64], text[256];
    sprintf(name, "/proc/%d/stat", child);
    for (char state = 0; state != 'S' && state != 'Z';) {
        usleep(1000);
        int stat = open(name, O_RDONLY);
        ssize_t length = read(stat, text, sizeof text - 1);
        close(stat);
        if (length <= 0) return;
        text[length] = 0;
        char *end = strrchr(text, ')');
        if (end) state = end[2];
    }
}
