#include "ending.h"

#include <linux/seccomp.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>

int pv_ending_take(int listener, struct pv_ending *ret, struct pv_err *err)
{
    /* newer kernels may fill in more than this header knows */
    union {
        struct seccomp_notif n;
        uint8_t room[256];
    } notice;

    struct pollfd p = {listener, POLLIN, 0};

    /* the call below waits when there is nothing to take */
    if (poll(&p, 1, 0) < 1 || !(p.revents & POLLIN))
        return p.revents & (POLLHUP | POLLERR | POLLNVAL)
                   ? pv_refuse(err, EPIPE, "nobody is left to take notice of")
                   : 0;
    memset(&notice, 0, sizeof notice);
    if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &notice.n) < 0)
        return errno == ENOENT || errno == EINTR ? 0
                                                 : pv_fail(err, errno, "take notice of an exit");
    *ret = (struct pv_ending){notice.n.id, (pid_t)notice.n.pid,
                              (uint32_t)notice.n.data.args[0] & 0xff};
    return 1;
}

void pv_ending_pass(int listener, uint64_t id)
{
    struct seccomp_notif_resp r = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};

    /* ENOENT: it is dead by now */
    (void)ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &r);
}
