#include "pipes.h"

#include "pv/own.h"

#include <fcntl.h>
#include <sys/socket.h>

void pv_pipes_close(struct pv_pipes *p)
{
    for (int side = 0; side < 2; side++) {
        pv_close_fd_(&p->in[side]);
        pv_close_fd_(&p->out[side]);
        pv_close_fd_(&p->err[side]);
        pv_close_fd_(&p->control[side]);
    }
}

int pv_pipes_open(struct pv_pipes *p, bool control, struct pv_err *err)
{
    if (pipe2(p->in, O_CLOEXEC) < 0 || pipe2(p->out, O_CLOEXEC) < 0 ||
        pipe2(p->err, O_CLOEXEC) < 0 ||
        (control && socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, p->control) < 0))
        return pv_fail(err, errno, "make an instance's pipes");
    /* our ends only: the flag belongs to the open file, and each end is one of its own */
    if (fcntl(p->in[1], F_SETFL, O_NONBLOCK) < 0 || fcntl(p->out[0], F_SETFL, O_NONBLOCK) < 0 ||
        fcntl(p->err[0], F_SETFL, O_NONBLOCK) < 0)
        return pv_fail(err, errno, "set an instance's pipes up");
    return 0;
}
