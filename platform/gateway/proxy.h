/* The egress proxy: one connection of an invocation to one granted HOST:PORT, by CONNECT or by a
 * plain request in absolute form. Bytes are relayed, hashed and counted in both directions. */
#pragma once
#include "gateway.h"

/* Takes the non-blocking socket. */
void gw_proxy_open(struct gateway *gw, int fd, struct gw_call *owner, uint64_t connection);
/* The invocation is over: relays what its process still wrote, records the end, closes. */
void gw_proxy_owner_ended(struct gw_proxy *p);
void gw_proxy_reap(struct gateway *gw);
void gw_proxy_tick(struct gateway *gw, uint64_t now_ns);
