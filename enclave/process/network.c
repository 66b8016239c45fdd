#include "network.h"

#include "pv/own.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

static int loopback_up(struct pv_err *err)
{
    struct ifreq r = {.ifr_name = "lo"};
    pv_autoclose int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return pv_fail(err, errno, "open a socket in the slot's network");
    r.ifr_flags = IFF_UP;
    if (ioctl(fd, SIOCSIFFLAGS, &r) < 0)
        return pv_fail(err, errno, "bring up loopback in the slot's network");
    return 0;
}

/* A connection that finds the listener's queue full is reset and not retried. Otherwise a function
 * could leave half-open connections behind (TCP_DEFER_ACCEPT and a full queue) that the kernel
 * completes when the slot runs the next invocation, to which they would be put down. */
static int reset_on_overflow(struct pv_err *err)
{
    pv_autoclose int fd = open("/proc/sys/net/ipv4/tcp_abort_on_overflow", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, "1", 1) != 1)
        return pv_fail(err, errno, "set tcp_abort_on_overflow in the slot's network");
    return 0;
}

static int listen_on(uint16_t port, struct pv_err *err)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    pv_autoclose int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 || listen(fd, 64) < 0)
        return pv_fail(err, errno, "listen on port %u in the slot's network", port);
    return PV_TAKE_FD(fd);
}

int pv_slot_network_open(struct pv_slot_network *ret, struct pv_err *err)
{
    *ret = (struct pv_slot_network){-1, {-1, -1}};
    if (unshare(CLONE_NEWNET) < 0)
        return pv_fail(err, errno, "make a network namespace");
    ret->netns_fd = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
    if (ret->netns_fd < 0)
        return pv_fail(err, errno, "open the network namespace");
    PV_TRY(reset_on_overflow(err));
    PV_TRY(loopback_up(err));
    PV_TRY(ret->listeners[0] = listen_on(PV_BROKER_GATEWAY_PORT, err));
    PV_TRY(ret->listeners[1] = listen_on(PV_BROKER_PROXY_PORT, err));
    return 0;
}

void pv_slot_network_close(struct pv_slot_network *n)
{
    pv_close_fd_(&n->netns_fd);
    pv_close_fd_(&n->listeners[0]);
    pv_close_fd_(&n->listeners[1]);
    *n = (struct pv_slot_network){-1, {-1, -1}};
}
