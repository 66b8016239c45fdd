/* Messages between roles: one SEQPACKET datagram = 16-bit type, body bytes, and descriptors. What
 * arrives is untrusted until its reader has consumed it exactly. */
#pragma once
#include "pv/buf.h"
#include "pv/limits.h"

#include <stdint.h>

struct pv_msg {
    uint16_t type;
    struct pv_buf body;            /* owned */
    int fds[PV_MSG_FDS_MAX];       /* owned by the message; -1 where taken */
    unsigned n_fds;
};

/* An empty message of that type. */
void pv_msg_init(struct pv_msg *m, uint16_t type);
/* Closes descriptors still held and frees the body. */
void pv_msg_done(struct pv_msg *m);
/* Adds a duplicate-free descriptor; the message takes ownership, also on failure. */
void pv_msg_put_fd(struct pv_msg *m, int fd);
/* Hands descriptor i to the caller, or -1. */
int pv_msg_take_fd(struct pv_msg *m, unsigned i);
static inline struct pv_reader pv_msg_reader(const struct pv_msg *m)
{
    return pv_reader_of(m->body.data, m->body.len);
}

/* Connected SEQPACKET pair, close-on-exec, buffers sized for PV_MSG_MAX. */
PV_MUST_CHECK int pv_msg_pair(int ret_fds[2], struct pv_err *err);
/* Sends m (keeps its descriptors open; the caller still calls done). -EAGAIN when the socket is
 * non-blocking and full, -EPIPE when the peer is gone, -EMSGSIZE when over the ceiling. */
PV_MUST_CHECK int pv_msg_send(int fd, const struct pv_msg *m, struct pv_err *err);
/* Receives into m (which must be done or zeroed; re-initialised here). 1 = a message, 0 = the peer
 * closed, negative errno otherwise (-EAGAIN, -EBADMSG). */
PV_MUST_CHECK int pv_msg_recv(int fd, struct pv_msg *m, struct pv_err *err);

static inline void pv_msg_cleanup_(struct pv_msg *m)
{
    pv_msg_done(m);
}
#define pv_automsg __attribute__((cleanup(pv_msg_cleanup_)))

/* Payloads: at most PV_MSG_INLINE_MAX bytes travel in the body, larger ones as one sealed memfd
 * appended to the descriptors. put and get must be called in the same order on both sides. */
PV_MUST_CHECK int pv_msg_put_payload(struct pv_msg *m, const void *p, size_t len,
                                     struct pv_err *err);
/* A payload as it was put: bytes borrowed from the message, or mapped from its memfd. */
struct pv_payload {
    const uint8_t *data;
    size_t len;
    void *map;                     /* to be unmapped, or NULL */
};
/* fd_index counts the descriptors already consumed and is advanced when one is used. Refuses a
 * payload over max bytes, and a memfd that is not sealed against shrinking and writing. */
PV_MUST_CHECK int pv_msg_get_payload(struct pv_msg *m, struct pv_reader *r, unsigned *fd_index,
                                     size_t max, struct pv_payload *ret, struct pv_err *err);
void pv_payload_done(struct pv_payload *p);
