#include "channel.h"

#include "pv/own.h"

#include <fcntl.h>
#include <string.h>

void pv_channel_init(struct pv_channel *c, int fd)
{
    *c = (struct pv_channel){.fd = fd};
    if (fd >= 0)
        (void)fcntl(fd, F_SETFL, O_NONBLOCK);
}

static void erase(struct pv_msg *m)
{
    if (m->body.data)
        explicit_bzero(m->body.data, m->body.cap);
    pv_msg_done(m);
}

void pv_channel_done(struct pv_channel *c)
{
    for (; c->count > 0; c->count--) {
        erase(&c->queue[c->head]);
        c->head = (c->head + 1) % PV_CHANNEL_QUEUE_MAX;
    }
    free(c->queue);
    c->queue = NULL;
    if (c->fd >= 0)
        (void)close(PV_TAKE_FD(c->fd));
}

static int enqueue(struct pv_channel *c, struct pv_msg *m, struct pv_err *err)
{
    if (!c->queue)
        c->queue = calloc(PV_CHANNEL_QUEUE_MAX, sizeof *c->queue);
    if (!c->queue || c->count == PV_CHANNEL_QUEUE_MAX) {
        erase(m);
        return pv_refuse(err, ENOBUFS, "a role does not read its control socket");
    }
    c->queue[(c->head + c->count++) % PV_CHANNEL_QUEUE_MAX] = *m;
    *m = (struct pv_msg){0};
    return 0;
}

int pv_channel_send(struct pv_channel *c, struct pv_msg *m, struct pv_err *err)
{
    int rc;

    if (c->fd < 0) {
        erase(m);
        return pv_refuse(err, EPIPE, "the role is gone");
    }
    if (c->count > 0)
        return enqueue(c, m, err);
    rc = pv_msg_send(c->fd, m, err);
    if (rc == -EAGAIN)
        return enqueue(c, m, err);
    erase(m);
    return rc;
}

int pv_channel_flush(struct pv_channel *c, struct pv_err *err)
{
    while (c->count > 0 && c->fd >= 0) {
        int rc = pv_msg_send(c->fd, &c->queue[c->head], err);

        if (rc == -EAGAIN)
            return 0;
        erase(&c->queue[c->head]);
        c->head = (c->head + 1) % PV_CHANNEL_QUEUE_MAX;
        c->count--;
        PV_TRY(rc);
    }
    return 0;
}
