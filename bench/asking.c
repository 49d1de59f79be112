/* Asks a server of the daemon's protocol for one value, again and again: the client of both sides of row P2.
 *
 *   ./asking SOCKET PATH hold COUNT       on one connection: prints the 10th, 50th and 90th percentile, nanoseconds a call
 *   ./asking SOCKET PATH connect COUNT    a connection for each call: likewise
 *   ./asking SOCKET PATH 16 COUNT         on 16 connections at once, one call under way on each: prints calls a second
 *
 * With `-` before the SOCKET's path no pipe is passed and no value read: for a server that only echoes.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static struct sockaddr_un address = {.sun_family = AF_UNIX};
static const char *path;
static int echo;

struct line {
    int sock, pipe[2], greeted;
    char nonce[64], got[8192];
    size_t have; /* bytes in `got` */
};

static long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000L + time.tv_nsec;
}

static void fail(const char *why) {
    fprintf(stderr, "asking: %s\n", why);
    exit(1);
}

static char frame[8192];

/* The next frame: its text, in `frame`. */
static void receive(struct line *line) {
    for (;;) {
        unsigned length;
        memcpy(&length, line->got, 4);
        size_t whole = 4 + (size_t)ntohl(length);
        if (line->have >= 4 && whole > sizeof line->got) fail("too long");
        if (line->have >= 4 && line->have >= whole) {
            memcpy(frame, line->got + 4, whole - 4);
            frame[whole - 4] = 0;
            memmove(line->got, line->got + whole, line->have -= whole);
            return;
        }
        ssize_t more = recv(line->sock, line->got + line->have, sizeof line->got - line->have, 0);
        if (more <= 0) fail("the server left");
        line->have += (size_t)more;
    }
}

static void greet(struct line *line) {
    line->sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(line->sock, (struct sockaddr *)&address, sizeof address)) fail("no connection");
    line->have = 0;
    receive(line);
    char *nonce = strstr(frame, "\"nonce\":\"");
    if (!nonce) fail("no nonce");
    snprintf(line->nonce, sizeof line->nonce, "\"nonce\":\"%.43s\",", nonce + 9);
    line->greeted = 0;
}

static void make_pipe(struct line *line) {
    if (pipe2(line->pipe, O_CLOEXEC) || fcntl(line->pipe[1], F_SETPIPE_SZ, 65536) < 65536) fail("no pipe");
}

static void ask(struct line *line) {
    char body[512];
    int length = snprintf(body + 4, sizeof body - 4, "{%s\"refs\":[\"%s\"]%s,\"verb\":\"get\"}", line->greeted ? "" : line->nonce,
                          path, line->greeted ? "" : ",\"v\":1");
    unsigned head = htonl((unsigned)length);
    memcpy(body, &head, 4);
    line->greeted = 1;
    struct iovec part = {body, (size_t)length + 4};
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (!echo) {
        message.msg_control = control, message.msg_controllen = sizeof control;
        struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
        rights->cmsg_level = SOL_SOCKET, rights->cmsg_type = SCM_RIGHTS, rights->cmsg_len = CMSG_LEN(sizeof(int));
        memcpy(CMSG_DATA(rights), &line->pipe[1], sizeof(int));
    }
    if (sendmsg(line->sock, &message, 0) < 0) fail("cannot send");
}

static void take(struct line *line) {
    char value[4096];
    do receive(line);
    while (strstr(frame, "\"event\":\"pending\"")); /* the first call of all is answered by a person */
    if (!strstr(frame, "\"event\":\"delivered\"")) fail(frame);
    if (!echo && read(line->pipe[0], value, sizeof value) <= 0) fail("no value");
}

static int order(const void *one, const void *other) {
    long a = *(const long *)one, b = *(const long *)other;
    return (a > b) - (a < b);
}

static void one_by_one(int count, int reconnect) {
    long *times = calloc((size_t)count, sizeof *times);
    struct line line;
    if (!reconnect) {
        greet(&line);
        make_pipe(&line);
        ask(&line), take(&line);
    }
    for (int at = 0; at < count; at++) {
        long began = now();
        if (reconnect) greet(&line), make_pipe(&line);
        ask(&line);
        take(&line);
        if (reconnect) close(line.sock), close(line.pipe[0]), close(line.pipe[1]);
        times[at] = now() - began;
    }
    qsort(times, (size_t)count, sizeof *times, order);
    printf("%ld %ld %ld\n", times[count / 10], times[count / 2], times[count * 9 / 10]);
}

static void many(int lines, int count) {
    struct line all[64];
    struct epoll_event one = {.events = EPOLLIN}, found[64];
    int poller = epoll_create1(EPOLL_CLOEXEC), asked = 0, done = 0;
    for (int at = 0; at < lines; at++) {
        greet(&all[at]);
        make_pipe(&all[at]);
        ask(&all[at]), take(&all[at]);
        one.data.u32 = (unsigned)at;
        epoll_ctl(poller, EPOLL_CTL_ADD, all[at].sock, &one);
    }
    long began = now();
    for (; asked < lines && asked < count; asked++) ask(&all[asked]);
    while (done < count) {
        int ready = epoll_wait(poller, found, 64, -1);
        for (int at = 0; at < ready; at++) {
            struct line *line = &all[found[at].data.u32];
            take(line);
            done++;
            if (asked < count) ask(line), asked++;
        }
    }
    printf("%.0f\n", count * 1e9 / (double)(now() - began));
}

int main(int argc, char **argv) {
    if (argc != 5) return 2;
    echo = argv[1][0] == '-';
    strncpy(address.sun_path, argv[1] + echo, sizeof address.sun_path - 1);
    path = argv[2];
    int count = atoi(argv[4]), lines = atoi(argv[3]);
    if (count < 1 || lines > 64) return 2;
    if (lines) many(lines, count);
    else one_by_one(count, !strcmp(argv[3], "connect"));
    return 0;
}
