/* What the files of pv_reconcile share. */
#pragma once
#include "pv/reconcile.h"

#include "reconcile_table.h"

#include <string.h>

enum { INSIDE, OUTSIDE };
enum { GATEWAY_PORT = 8080, PROXY_PORT = 3128 };

struct pv_reconcile {
    uint64_t since, until, seq, begin;
    bool begun, has_witness;
    uint64_t loaded; /* entry at which the probes were last loaded: they know nobody from before */
    pv_finding_fn fn;
    void *ctx;
    struct pv_reconcile_totals totals;
    struct rec_table pairs[PV_PAIR_KINDS];
    struct rec_table domains;   /* by domain: pid, name */
    struct rec_table instances; /* by (domain, instance): its first process, stdout */
    struct rec_table roots;     /* by (pid, start): an instance's first process; its domain */
    struct rec_table procs;     /* by proc: the (pid, start) of the instance it belongs to */
    struct rec_table sockets;   /* by object, between its announcement and the connect: the port */
    struct rec_table pipes;     /* by object: the inode */
    struct rec_table cut; /* by (pid, call): accounts of a request that were too long to keep */
};

static inline uint64_t rec_number(const struct pv_event *e, const char *field)
{
    return pv_event_get_u64(e, field);
}
static inline uint64_t rec_domain_number(const uint8_t id[PV_DOMAIN_ID_BYTES])
{
    uint64_t v = 0;

    memcpy(&v, id, sizeof v);
    return v;
}
/* Both accounts name a connection and an opened file alike. */
static inline struct rec_key rec_connection_key(uint64_t pid, uint64_t ticks, uint64_t port,
                                                uint64_t broker)
{
    return rec_key(pid, ticks, port << 16 | broker);
}
static inline struct rec_key rec_open_key(uint64_t pid, const struct pv_event *e)
{
    struct rec_key key = rec_key(pid, rec_number(e, "dev"), rec_number(e, "ino"));

    memcpy(key.call, e->invocation.bytes, sizeof e->invocation.bytes);
    return key;
}

/* n: the connection, or the pid of the monitor that ran it. */
static inline struct rec_key rec_call_key(uint64_t n, const struct pv_call_id *call)
{
    struct rec_key key = rec_key(n, 0, 0);

    memcpy(key.call, call->bytes, sizeof call->bytes);
    return key;
}

/* --- reconcile.c --- */
/* The half of a pair; what the row is to say of it, the caller adds. */
PV_MUST_CHECK int rec_half(struct pv_reconcile *r, enum pv_pair_kind kind,
                           const struct rec_key *key, unsigned side, const struct pv_event *e,
                           struct rec_row **ret, struct pv_err *err);
PV_PRINTF(5, 6)
int rec_found(struct pv_reconcile *r, enum pv_finding_kind kind, uint64_t seq,
              const struct pv_call_id *call, const char *fmt, ...);
struct rec_row *rec_domain(const struct pv_reconcile *r, uint64_t domain);
struct rec_row *rec_root(const struct pv_reconcile *r, uint64_t pid, uint64_t ticks);
/* Made when it is new. */
PV_MUST_CHECK int rec_root_row(struct pv_reconcile *r, uint64_t pid, uint64_t ticks,
                               struct rec_row **ret, struct pv_err *err);

/* --- reconcile_inside.c, reconcile_outside.c --- */
PV_MUST_CHECK int rec_inside(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err);
PV_MUST_CHECK int rec_outside(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err);
