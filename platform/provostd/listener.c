#include "listener.h"

#include "pv/clock.h"
#include "pv/log.h"
#include "pv/own.h"

#include <netdb.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum { BACKLOG = 4096, HOLDER_S = 3, PAUSE_MS = 20 };

/* getaddrinfo takes larger numbers, too, and cuts them. */
static bool port_ok(const char *port)
{
    size_t n = strspn(port, "0123456789");

    return n > 0 && n <= 5 && port[n] == '\0' && strtoul(port, NULL, 10) <= UINT16_MAX;
}

static int resolve(const char *address, struct addrinfo **ret, struct pv_err *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV | AI_PASSIVE};
    char host[128];
    const char *colon = strrchr(address, ':');
    const char *start = address;
    size_t n = colon ? (size_t)(colon - address) : 0;
    int rc;

    if (n >= 2 && address[0] == '[' && address[n - 1] == ']') {
        start++;
        n -= 2;
    }
    if (n == 0 || n >= sizeof host || !port_ok(colon + 1))
        return pv_refuse(err, EINVAL,
                         "listen address '%s': must be ADDR:PORT with a port from 0 to 65535",
                         address);
    memcpy(host, start, n);
    host[n] = '\0';
    rc = getaddrinfo(host, colon + 1, &hints, ret);
    if (rc == EAI_NONAME)
        return pv_refuse(err, EINVAL,
                         "listen address '%s': '%s' is no numeric address (names are not looked "
                         "up)",
                         address, host);
    if (rc != 0)
        return pv_refuse(err, EINVAL, "listen address '%s': %s", address, gai_strerror(rc));
    return 0;
}

int pv_listener_check(const char *address, struct pv_err *err)
{
    struct addrinfo *list;

    PV_TRY(resolve(address, &list, err));
    freeaddrinfo(list);
    return 0;
}

static int print_bound(int fd, char *text, size_t cap, struct pv_err *err)
{
    struct sockaddr_storage a;
    socklen_t len = sizeof a;
    char host[NI_MAXHOST], port[NI_MAXSERV];

    if (getsockname(fd, (struct sockaddr *)&a, &len) != 0 ||
        getnameinfo((const struct sockaddr *)&a, len, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return pv_fail(err, errno, "read the listening address");
    snprintf(text, cap, a.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
    return 0;
}

static int bind_once(const struct addrinfo *a)
{
    pv_autoclose int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    int one = 1;

    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) < 0 ||
        bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, BACKLOG) < 0)
        return -errno;
    return PV_TAKE_FD(fd);
}

/* A gateway whose supervisor was killed ends by itself, and holds the address until it has. */
static int bind_patiently(const struct addrinfo *a, const char *address)
{
    const struct timespec pause = {.tv_nsec = PAUSE_MS * (long)PV_NS_PER_MS};
    int fd = bind_once(a);

    if (fd == -EADDRINUSE)
        pv_log(PV_LOG_WARN, "'%s' is in use; waiting for %d s", address, HOLDER_S);
    for (int n = HOLDER_S * 1000 / PAUSE_MS; fd == -EADDRINUSE && n > 0; n--) {
        (void)nanosleep(&pause, NULL);
        fd = bind_once(a);
    }
    return fd;
}

int pv_listener_open(const char *address, char *text, size_t cap, struct pv_err *err)
{
    struct addrinfo *list;

    PV_TRY(resolve(address, &list, err));
    pv_autoclose int fd = bind_patiently(list, address);
    freeaddrinfo(list);
    if (fd == -EADDRINUSE)
        return pv_refuse(err, EADDRINUSE,
                         "listen on '%s': the address is taken; is another provostd running? "
                         "choose another with --listen ADDR:PORT",
                         address);
    if (fd < 0)
        return pv_fail(err, -fd, "listen on '%s'", address);
    PV_TRY(print_bound(fd, text, cap, err));
    return PV_TAKE_FD(fd);
}
