/* An invocation, from the complete request, through the function's queue and host, to the answer.
 * It begins in invoke.c and ends in call_end.c. */
#pragma once
#include "function.h"

#include "pv/id.h"

#include <uthash.h>

enum gw_call_state { GW_C_QUEUED, GW_C_RUNNING, GW_C_ANSWERED };

struct gw_call {
    UT_hash_handle hh;
    TAILQ_ENTRY(gw_call) queue_link;
    struct gateway *gw;
    struct pv_call_id id;
    enum gw_call_state state;
    struct gw_version *version;
    struct gw_conn *conn; /* who waits for the answer; NULL: gone */
    uint64_t arrived_ns;  /* monotonic */
    uint64_t arrived_real_ns;
    struct pv_domain_id receipt_domain; /* of the response event: its place among the producer's */
    uint64_t receipt_dseq;
    uint64_t deadline_ns; /* monotonic */
    bool traced;          /* asked for by another invocation */
    struct pv_call_id caller;
    uint64_t connection;
    unsigned n_brokered;
    LIST_HEAD(, gw_conn) conns;    /* connections it opened to the broker */
    LIST_HEAD(, gw_proxy) proxies; /* and to the egress proxy */
};

struct gw_call *gw_call_find(struct gateway *gw, const struct pv_call_id *id);
void gw_call_enqueue(struct gw_call *call);
void gw_call_unqueue(struct gw_call *call);
/* Takes it out of the table and frees it. It is in no queue, and nothing that it opened is left. */
void gw_call_free(struct gw_call *call);
/* c was opened by the call, and belongs to it until either ends. */
void gw_call_own_conn(struct gw_call *call, struct gw_conn *c);
void gw_call_disown_conn(struct gw_call *call, struct gw_conn *c);
