/* HTTP connections: reading requests, writing answers, time limits. */
#pragma once
#include "reply.h"

/* What connections call above them. */
struct gw_conn_upward {
    /* The handler of the request whose head is complete; NULL after it has been answered. */
    gw_handler *(*route)(struct gw_conn *c);
    /* Nobody waits for the answer of this call any more. */
    void (*client_gone)(struct gw_call *call);
};

/* Takes the non-blocking socket, also on failure. owner: the invocation it belongs to, or NULL.
 * gw->conn_upward is set before the first. */
void gw_conn_open(struct gateway *gw, int fd, const char *remote, struct gw_call *owner,
                  uint64_t connection);
/* Closes at once; the memory lives until the loop's next turn. */
void gw_conn_kill(struct gw_conn *c);
void gw_conn_reap(struct gateway *gw);
/* Frees the body of a request that was passed on. */
void gw_conn_drop_body(struct gw_conn *c);
/* The request waits for room in the ring: its handler is called again. */
void gw_conn_hold(struct gw_conn *c);
void gw_conn_tick(struct gateway *gw, uint64_t now_ns);
