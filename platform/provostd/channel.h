/* The supervisor's end of a role's control socket: never blocks; what the role does not take yet
 * waits in a bounded queue. */
#pragma once
#include "pv/msg.h"

#include <stdbool.h>

struct pv_channel {
    int fd;               /* owned; -1: closed */
    struct pv_msg *queue; /* owned ring of PV_CHANNEL_QUEUE_MAX messages, made when first needed */
    unsigned head, count;
};
enum { PV_CHANNEL_QUEUE_MAX = 4096 };

/* Takes the descriptor and makes it non-blocking. */
void pv_channel_init(struct pv_channel *c, int fd);
/* Closes; forgets (and erases) what waits. Accepts a channel that is closed already. */
void pv_channel_done(struct pv_channel *c);
static inline bool pv_channel_is_open(const struct pv_channel *c)
{
    return c->fd >= 0;
}
/* Takes the content of m (also on failure) and erases it once sent: it may hold keys. -ENOBUFS when
 * the queue is full, -EPIPE when the role is gone. */
PV_MUST_CHECK int pv_channel_send(struct pv_channel *c, struct pv_msg *m, struct pv_err *err);
/* Sends what waits, as far as the role takes it. */
PV_MUST_CHECK int pv_channel_flush(struct pv_channel *c, struct pv_err *err);
