/* Loaded before a program (LD_PRELOAD): names below corp.internal are this machine, as --host-resolver-rules says to the browser. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netdb.h>
#include <string.h>

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **found)
{
    static int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    static const char zone[] = ".corp.internal";
    if (!real)
        real = (int (*)(const char *, const char *, const struct addrinfo *, struct addrinfo **))dlsym(RTLD_NEXT, "getaddrinfo");
    size_t length = node ? strlen(node) : 0;
    if (length >= sizeof zone && !strcmp(node + length - (sizeof zone - 1), zone))
        node = "127.0.0.1";
    return real(node, service, hints, found);
}
