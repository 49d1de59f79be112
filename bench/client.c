/* The floor of row P3: the least that a program can do to read one value from the daemon's socket.
 *
 * The same protocol as the front, and nothing else: no checks of the socket, no escapes, no wiping, one buffer. It trusts every
 * answer, so it is no client to use.
 *
 *   cc -O2 -o client client.c && ./client SOCKET PATH
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char frame[1 << 18];

/* One frame, without its length. */
static void receive(int sock) {
    size_t have = 0, want = 4;
    char head[4];
    while (have < want) {
        ssize_t got = have < 4 ? read(sock, head + have, 4 - have) : read(sock, frame + have - 4, want - have);
        if (got <= 0) exit(1);
        have += (size_t)got;
        if (have == 4) {
            unsigned length;
            memcpy(&length, head, 4);
            want = 4 + (size_t)ntohl(length);
            if (want >= sizeof frame) exit(1);
        }
    }
    frame[want - 4] = 0;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    strncpy(address.sun_path, argv[1], sizeof address.sun_path - 1);
    int sock = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), ends[2];
    if (connect(sock, (struct sockaddr *)&address, sizeof address) || pipe2(ends, O_CLOEXEC)) return 1;
    if (fcntl(ends[1], F_SETPIPE_SZ, 65536) < 65536) return 1;

    receive(sock);
    char *nonce = strstr(frame, "\"nonce\":\"");
    if (!nonce) return 1;
    static char body[1024];
    int length = snprintf(body + 4, sizeof body - 4, "{\"nonce\":\"%.43s\",\"refs\":[\"%s\"],\"v\":1,\"verb\":\"get\"}", nonce + 9, argv[2]);
    unsigned head = htonl((unsigned)length);
    memcpy(body, &head, 4);

    struct iovec part = {body, (size_t)length + 4};
    char control[CMSG_SPACE(sizeof(int))] = {0};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *rights = CMSG_FIRSTHDR(&message);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(rights), &ends[1], sizeof(int));
    if (sendmsg(sock, &message, 0) < 0) return 1;
    close(ends[1]);

    do receive(sock);
    while (strstr(frame, "\"event\":\"pending\""));
    if (!strstr(frame, "\"event\":\"delivered\"")) return 1;
    for (ssize_t got; (got = read(ends[0], frame, sizeof frame)) > 0;)
        if (write(1, frame, (size_t)got) != got) return 1;
    return 0;
}
