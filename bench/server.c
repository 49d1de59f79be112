/* The floors of row P2: what the least server costs that answers as the daemon does.
 *
 *   cc -O2 -o server server.c && ./server echo SOCKET      answers each frame with one of the length of a delivery
 *                                ./server calls SOCKET     makes the system calls of the daemon for a hit, and no others
 *
 * `calls` looks at its caller just as often and through the same files of /proc, takes the pipe and looks at it, writes a value
 * and answers. It parses nothing, compares nothing, remembers nothing and believes everybody: it is no server to use.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PASSPIDFD 76
#define PEERPIDFD 77
#define MOST 4096

static const char nonce[] = "{\"nonce\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\",\"v\":1}";
static const char answer[] = "{\"event\":\"delivered\",\"values\":[{\"from\":\"lease\",\"left\":3600,\"length\":32,\"path\":\"bench/value\","
                             "\"revision\":0,\"version\":1,\"window\":3600}]}";
static const char value[] = "a value of thirty-two bytes, so.";

/* One caller; `directory` and `stat` are of its /proc. */
static struct caller { int pidfd, directory, stat, greeted; } callers[MOST];
static char text[1 << 16];

static void say(int sock, const char *words, size_t length) {
    char frame[512];
    unsigned head = htonl((unsigned)length);
    memcpy(frame, &head, 4);
    memcpy(frame + 4, words, length);
    if (send(sock, frame, length + 4, 0) < 0) _exit(1);
}

static ssize_t content(int directory, const char *name) {
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return -1;
    ssize_t got = read(fd, text, sizeof text - 1), more = got;
    while (more > 0) more = read(fd, text + got, sizeof text - 1 - (size_t)got);
    close(fd);
    text[got > 0 ? got : 0] = 0;
    return got;
}

static void alive(struct caller *c) {
    struct pollfd one = {.fd = c->pidfd, .events = POLLIN};
    poll(&one, 1, 0);
}

/* What runs there, and since when. */
static void look(struct caller *c) {
    struct stat status;
    if (pread(c->stat, text, 4096, 0) < 0 || fstatat(c->directory, "exe", &status, 0)) _exit(1);
    alive(c);
}

static void identify(int sock, struct caller *c) {
    int on = 1;
    struct ucred credentials;
    struct stat status;
    socklen_t length = sizeof credentials;
    setsockopt(sock, SOL_SOCKET, PASSPIDFD, &on, sizeof on);
    getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
    getsockopt(sock, SOL_SOCKET, SO_PEERCRED, &credentials, &length);
    length = sizeof c->pidfd;
    if (getsockopt(sock, SOL_SOCKET, PEERPIDFD, &c->pidfd, &length) || fstat(c->pidfd, &status)) _exit(1);
    char name[64];
    snprintf(name, sizeof name, "/proc/self/fdinfo/%d", c->pidfd);
    content(AT_FDCWD, name);
    char *pid = strstr(text, "Pid:");
    snprintf(name, sizeof name, "/proc/%d", pid ? atoi(pid + 4) : 0);
    c->directory = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    c->stat = openat(c->directory, "stat", O_RDONLY | O_CLOEXEC);
    alive(c);
    look(c);
    if (pread(c->stat, text, 4096, 0) < 0) _exit(1);
    content(c->directory, "cmdline");
    c->greeted = 0;
}

/* The executable, already hashed. */
static void describe(struct caller *c) {
    struct stat status;
    int exe = openat(c->directory, "exe", O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    fstat(exe, &status);
    if (readlinkat(c->directory, "exe", text, 4096) < 0 || readlinkat(c->directory, "ns/mnt", text, 4096) < 0) _exit(1);
    close(exe);
    alive(c);
    look(c);
}

static void deliver(int sock, struct caller *c, int end) {
    struct stat status;
    int waiting;
    struct pollfd one = {.fd = end};
    fstat(end, &status);
    if ((fcntl(end, F_GETFL) & O_ACCMODE) != O_WRONLY || fcntl(end, F_GETPIPE_SZ) < 65536 || ioctl(end, FIONREAD, &waiting)) _exit(1);
    poll(&one, 1, 0);
    look(c);
    if (write(end, value, sizeof value - 1) < 0) _exit(1);
    look(c);
    close(end);
    say(sock, answer, sizeof answer - 1);
}

static void leave(int poller, int sock, struct caller *c) {
    epoll_ctl(poller, EPOLL_CTL_DEL, sock, 0);
    close(sock);
    if (c->directory) close(c->pidfd), close(c->directory), close(c->stat);
    memset(c, 0, sizeof *c);
}

/* One frame with what came beside it. A whole frame comes at once: they are short. */
static void serve(int poller, int sock, int calls) {
    struct caller *c = &callers[sock];
    char control[512];
    struct iovec part = {text, sizeof text};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    ssize_t got = calls ? recvmsg(sock, &message, MSG_CMSG_CLOEXEC) : recv(sock, text, sizeof text, 0);
    if (got <= 0) {
        leave(poller, sock, c);
        return;
    }
    if (!calls) {
        say(sock, answer, sizeof answer - 1);
        return;
    }
    int sender = -1, end = -1;
    for (struct cmsghdr *one = CMSG_FIRSTHDR(&message); one; one = CMSG_NXTHDR(&message, one))
        memcpy(one->cmsg_type == SCM_RIGHTS ? &end : &sender, CMSG_DATA(one), sizeof(int));
    struct stat status;
    fstat(sender, &status);
    close(sender);
    if (!c->greeted) {
        look(c);
        if (pread(c->stat, text, 4096, 0) < 0) _exit(1);
        content(c->directory, "cmdline");
        describe(c);
        c->greeted = 1;
    }
    deliver(sock, c, end);
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int calls = !strcmp(argv[1], "calls");
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, argv[2], sizeof address.sun_path - 1);
    int door = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), poller = epoll_create1(EPOLL_CLOEXEC);
    if (bind(door, (struct sockaddr *)&address, sizeof address) || listen(door, 1024)) return 1;
    struct epoll_event one = {.events = EPOLLIN, .data.fd = door}, found[64];
    epoll_ctl(poller, EPOLL_CTL_ADD, door, &one);
    for (;;) {
        int count = epoll_wait(poller, found, 64, -1);
        for (int at = 0; at < count; at++) {
            if (found[at].data.fd != door) {
                serve(poller, found[at].data.fd, calls);
                continue;
            }
            int sock = accept4(door, 0, 0, SOCK_CLOEXEC | SOCK_NONBLOCK);
            if (sock < 0 || sock >= MOST) continue;
            if (calls) identify(sock, &callers[sock]);
            one.data.fd = sock;
            epoll_ctl(poller, EPOLL_CTL_ADD, sock, &one);
            say(sock, nonce, sizeof nonce - 1);
        }
    }
}
