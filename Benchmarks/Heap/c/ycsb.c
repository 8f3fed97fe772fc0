// A YCSB-like load on a server that speaks the redis protocol: one thread, many connections, each with some requests
// on their way. Keys are drawn from a Zipf distribution (exponent 0.99), values have 100 bytes.
//   ycsb PORT load RECORDS
//   ycsb PORT a|b|c RECORDS OPERATIONS CONNECTIONS PIPELINE     a: 50 % reads, b: 95 %, c: 100 %; the rest are updates
// Prints: metric TAB count TAB nanoseconds. Latencies are those of single requests.
#include "common.h"
#include <arpa/inet.h>
#include <errno.h>
#include <math.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { value_bytes = 100, most_pipelined = 64, buffer_bytes = 1 << 16 };

typedef struct {
    int socket;
    uint64_t sent[most_pipelined];  // when, in order; a ring
    unsigned first, waiting;
    size_t filled;
    char input[buffer_bytes];
} connection;

static double zeta, eta, theta = 0.99;
static uint64_t records;

static void prepare_zipf(void) {
    double two = 1 + pow(0.5, theta);
    for (uint64_t i = 1; i <= records; i++) zeta += 1 / pow((double)i, theta);
    eta = (1 - pow(2.0 / (double)records, 1 - theta)) / (1 - two / zeta);
}

// Gray et al., "Quickly generating billion-record synthetic databases", as YCSB does; ranks are spread over the keys.
static uint64_t draw(uint64_t *state) {
    double u = (double)(next_random(state) >> 11) / 9007199254740992.0, scaled = u * zeta;
    uint64_t rank;
    if (scaled < 1) rank = 0;
    else if (scaled < 1 + pow(0.5, theta)) rank = 1;
    else rank = (uint64_t)((double)records * pow(eta * u - eta + 1, 1 / (1 - theta)));
    return key_of(rank) % records;
}

static int dial(uint16_t port) {
    struct sockaddr_in where = {.sin_family = AF_INET, .sin_port = htons(port)};
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int one = 1, made = socket(AF_INET, SOCK_STREAM, 0);
    require(made >= 0 && connect(made, (struct sockaddr *)&where, sizeof where) == 0, "connect");
    setsockopt(made, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return made;
}

static size_t put_request(char *target, uint64_t key, int is_read, uint64_t *state) {
    if (is_read) return (size_t)sprintf(target, "*2\r\n$3\r\nGET\r\n$16\r\nuser%012lu\r\n", key);
    size_t at = (size_t)sprintf(target, "*3\r\n$3\r\nSET\r\n$16\r\nuser%012lu\r\n$%d\r\n", key, value_bytes);
    for (int i = 0; i < value_bytes; i += 4) {
        uint32_t letters = (uint32_t)next_random(state) & 0x0F0F0F0F;
        letters |= 0x60606060;
        memcpy(target + at + i, &letters, 4);
    }
    memcpy(target + at + value_bytes, "\r\n", 2);
    return at + value_bytes + 2;
}

// Bytes of the first whole reply in the buffer; 0 if there is none.
static size_t reply_bytes(const char *at, size_t count) {
    const char *end = memchr(at, '\n', count);
    if (!end) return 0;
    size_t line = (size_t)(end - at) + 1;
    require(*at == '+' || *at == '$', "the server answers an error");
    if (*at == '+' || at[1] == '-') return line;
    size_t whole = line + strtoull(at + 1, 0, 10) + 2;
    return whole <= count ? whole : 0;
}

static void send_all(int socket, const char *data, size_t count) {
    while (count > 0) {
        ssize_t written = write(socket, data, count);
        require(written > 0, "write");
        data += written;
        count -= (size_t)written;
    }
}

// Takes replies in; returns how many, noting their latencies.
static unsigned receive(connection *c, uint64_t *latencies) {
    ssize_t got = read(c->socket, c->input + c->filled, sizeof c->input - c->filled);
    require(got > 0, "the server is gone");
    c->filled += (size_t)got;
    uint64_t now = nanoseconds();
    size_t used = 0, one;
    unsigned replies = 0;
    while (c->filled > used && (one = reply_bytes(c->input + used, c->filled - used))) {
        used += one;
        latencies[replies++] = now - c->sent[c->first];
        c->first = (c->first + 1) % most_pipelined;
        c->waiting--;
    }
    memmove(c->input, c->input + used, c->filled -= used);
    return replies;
}

static int by_value(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static void load(uint16_t port) {
    static char out[buffer_bytes];
    connection *c = calloc(1, sizeof *c);
    uint64_t state = 5, latencies[most_pipelined], done = 0, sent = 0;
    c->socket = dial(port);
    while (done < records) {
        size_t bytes = 0;
        for (; c->waiting < most_pipelined && sent < records; c->waiting++)
            bytes += put_request(out + bytes, sent++, 0, &state);
        send_all(c->socket, out, bytes);
        while (c->waiting > 0) done += receive(c, latencies);
    }
}

static void run(uint16_t port, double reads, const char *name, uint64_t operations, int count, unsigned depth) {
    static char out[buffer_bytes];
    connection *all = calloc((size_t)count, sizeof *all);
    uint64_t *latencies = calloc(operations + most_pipelined, 8), state = 11, sent = 0, done = 0;
    int poll = epoll_create1(0);
    for (int i = 0; i < count; i++) {
        all[i].socket = dial(port);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = all + i};
        require(epoll_ctl(poll, EPOLL_CTL_ADD, all[i].socket, &event) == 0, "epoll_ctl");
    }
    char metric[32];
    struct epoll_event ready[256];
    uint64_t start = nanoseconds();
    int number = count;
    for (int i = 0; i < count; i++) ready[i].data.ptr = all + i;
    for (int is_first = 1; done < operations; is_first = 0) {
        for (int i = 0; i < number; i++) {
            connection *c = ready[i].data.ptr;
            if (!is_first) done += receive(c, latencies + done);
            // A whole pipeline goes out at once, when the last one is answered.
            if (c->waiting > 0) continue;
            size_t bytes = 0;
            uint64_t now = nanoseconds();
            for (; c->waiting < depth && sent < operations; c->waiting++, sent++) {
                int is_read = (double)(next_random(&state) >> 11) / 9007199254740992.0 < reads;
                c->sent[(c->first + c->waiting) % most_pipelined] = now;
                bytes += put_request(out + bytes, draw(&state), is_read, &state);
            }
            send_all(c->socket, out, bytes);
        }
        number = done < operations ? epoll_wait(poll, ready, 256, 10000) : 0;
        require(number > 0 || done >= operations, "no reply within 10 s");
    }
    snprintf(metric, sizeof metric, "ycsb.%s.P%u", name, depth);
    result(metric, operations, start);
    qsort(latencies, operations, 8, by_value);
    printf("ycsb.%s.P%u.p50\t1\t%lu\n", name, depth, latencies[operations / 2]);
    printf("ycsb.%s.P%u.p99\t1\t%lu\n", name, depth, latencies[operations / 100 * 99]);
}

int main(int argc, char **argv) {
    if (argc != 4 && argc != 7) return 2;
    uint16_t port = (uint16_t)atoi(argv[1]);
    records = strtoull(argv[3], 0, 10);
    if (argc == 4) {
        load(port);
        return 0;
    }
    int connections = atoi(argv[5]);
    unsigned depth = (unsigned)atoi(argv[6]);
    if (connections < 1 || connections > 256 || depth < 1 || depth > most_pipelined) return 2;
    prepare_zipf();
    double reads = argv[2][0] == 'a' ? 0.5 : argv[2][0] == 'b' ? 0.95 : 1;
    run(port, reads, argv[2], strtoull(argv[4], 0, 10), connections, depth);
    return 0;
}
