/* The floor of row P7: keeps whoever asks for the stream, and writes one event to all of them for each POST. No TLS, no parsing
 * beyond the first letter, no limit but MOST.
 *
 *   cc -O2 -o fanout fanout.c && ./fanout      prints its port
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST 16384

static const char opened[] = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n: echo\n\n";
static const char done[] = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
static const char event[] = "event: prompt\ndata: ";
static char whole[256], text[1 << 16], streams[MOST];

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    struct rlimit files = {MOST, MOST};
    setrlimit(RLIMIT_NOFILE, &files);
    int door = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), poller = epoll_create1(EPOLL_CLOEXEC), on = 1;
    if (bind(door, (struct sockaddr *)&address, length) || listen(door, 1024)) return 1;
    getsockname(door, (struct sockaddr *)&address, &length);
    printf("{\"port\":%d}\n", ntohs(address.sin_port));
    fflush(stdout);
    memset(whole, 'x', sizeof whole);
    memcpy(whole, event, 21);
    memcpy(whole + 221, "\n\n", 2);
    struct epoll_event one = {.events = EPOLLIN, .data.fd = door}, found[64];
    epoll_ctl(poller, EPOLL_CTL_ADD, door, &one);
    for (;;) {
        int count = epoll_wait(poller, found, 64, -1);
        for (int at = 0; at < count; at++) {
            int sock = found[at].data.fd;
            if (sock == door) {
                sock = accept4(door, 0, 0, SOCK_CLOEXEC);
                if (sock < 0 || sock >= MOST) continue;
                setsockopt(sock, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
                one.data.fd = sock;
                epoll_ctl(poller, EPOLL_CTL_ADD, sock, &one);
                continue;
            }
            ssize_t got = recv(sock, text, sizeof text, 0);
            if (got <= 0) {
                streams[sock] = 0;
                close(sock);
            } else if (*text == 'G') {
                streams[sock] = send(sock, opened, sizeof opened - 1, MSG_NOSIGNAL) > 0;
            } else {
                for (int stream = 0; stream < MOST; stream++)
                    if (streams[stream] && send(stream, whole, 223, MSG_NOSIGNAL) < 0) return 1;
                send(sock, done, sizeof done - 1, MSG_NOSIGNAL);
            }
        }
    }
}
