/* The gateway's events. An admitted request always finds room in the ring for what follows from it
 * (PV_RING_RESERVE); should an event be lost nevertheless, the gateway stops rather than answer. */
#pragma once
#include "pv/event.h"
#include "pv/ratchet.h"

#include <stdbool.h>

struct gateway;
struct gw_call;
struct pv_err;

/* True when a new request or connection may be admitted. */
bool gw_record_room(const struct gateway *gw);
/* Emits an event; on failure stops the process's loop with an error. Nothing without audit. */
void gw_record(struct gateway *gw, struct pv_event *e);
void gw_record_denied(struct gateway *gw, const struct pv_call_id *invocation, const char *what,
                      const char *object, const char *reason);

/* What the CALL events say about a body. */
struct gw_digest {
    uint8_t hash[PV_HASH_BYTES];
    uint64_t len;
};
struct gw_digest gw_digest_of(const void *p, size_t len);

struct gw_call_facts {
    struct pv_call_id caller;
    uint64_t connection;
    const char *callee_function;
    struct pv_call_id callee;
    bool allowed;
    const char *reason;
    struct gw_digest body;
};
void gw_record_call(struct gateway *gw, const struct gw_call_facts *f);
