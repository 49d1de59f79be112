/* Sends one request to a server's unix socket, again and again: the client of the peers of row P2 that others wrote.
 *
 *   ./repeating SOCKET REQUEST hold COUNT    on one connection: prints the 10th, 50th and 90th percentile, nanoseconds a call
 *   ./repeating SOCKET REQUEST 16 COUNT      on 16 connections at once, one call under way on each: prints calls a second
 *
 * REQUEST is a file with the bytes to send. Answers are HTTP/1.1, with a length or in chunks, or the bulk strings of redis. An
 * answer that is no success ends the run.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static char request[8192];
static size_t length;

struct line {
    int sock;
    char got[16384];
    size_t have;
};

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void fail(const char *why) {
    fprintf(stderr, "repeating: %.400s\n", why);
    exit(1);
}

/* Whether the answer is here whole. */
static int whole(struct line *line) {
    line->got[line->have] = 0;
    if (line->got[0] != 'H') {
        char *end = strstr(line->got, "\r\n");
        if (!end) return 0;
        if (line->got[0] != '$' || line->got[1] == '-') fail(line->got);
        return line->have >= (size_t)(end - line->got) + 4 + strtoul(line->got + 1, 0, 10);
    }
    char *end = strstr(line->got, "\r\n\r\n");
    if (!end) return 0;
    if (line->have < 12 || line->got[9] != '2') fail(line->got);
    char *said = strcasestr(line->got, "\r\ncontent-length:");
    if (said && said < end) return line->have >= (size_t)(end - line->got) + 4 + strtoul(said + 17, 0, 10);
    return line->have >= 5 && !memcmp(line->got + line->have - 5, "0\r\n\r\n", 5);
}

static void join(struct line *line) {
    line->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(line->sock, (struct sockaddr *)&address, sizeof address)) fail("no connection");
}

static void ask(struct line *line) {
    line->have = 0;
    if (send(line->sock, request, length, 0) != (ssize_t)length) fail("cannot send");
}

/* Reads once: 1 when the answer is whole. */
static int take(struct line *line) {
    ssize_t more = recv(line->sock, line->got + line->have, sizeof line->got - 1 - line->have, 0);
    if (more <= 0) fail("the server left, or its answer is too long");
    line->have += (size_t)more;
    return whole(line);
}

static int order(const void *one, const void *other) {
    long a = *(const long *)one, b = *(const long *)other;
    return (a > b) - (a < b);
}

static void one_by_one(int count) {
    static struct line line;
    long *times = calloc((size_t)count, sizeof *times);
    join(&line);
    for (int at = -1; at < count; at++) { /* the first one is not counted */
        long began = now();
        ask(&line);
        while (!take(&line));
        if (at >= 0) times[at] = now() - began;
    }
    qsort(times, (size_t)count, sizeof *times, order);
    printf("%ld %ld %ld\n", times[count / 10], times[count / 2], times[count * 9 / 10]);
}

static void many(int lines, int count) {
    static struct line all[64];
    struct epoll_event one = {.events = EPOLLIN}, found[64];
    int poller = epoll_create1(EPOLL_CLOEXEC), asked = 0, done = 0;
    for (int at = 0; at < lines; at++) {
        join(&all[at]);
        ask(&all[at]);
        while (!take(&all[at]));
        one.data.u32 = (unsigned)at;
        epoll_ctl(poller, EPOLL_CTL_ADD, all[at].sock, &one);
    }
    long began = now();
    for (; asked < lines && asked < count; asked++) ask(&all[asked]);
    while (done < count) {
        int ready = epoll_wait(poller, found, 64, -1);
        for (int at = 0; at < ready; at++) {
            struct line *line = &all[found[at].data.u32];
            if (!take(line)) continue;
            done++;
            if (asked < count) ask(line), asked++;
        }
    }
    printf("%.0f\n", count * 1e9 / (double)(now() - began));
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
    FILE *file = fopen(argv[2], "rb");
    length = file ? fread(request, 1, sizeof request, file) : 0;
    int count = atoi(argv[4]), lines = atoi(argv[3]);
    if (!length || count < 1 || lines > 64) return 2;
    if (lines) many(lines, count);
    else one_by_one(count);
    return 0;
}
