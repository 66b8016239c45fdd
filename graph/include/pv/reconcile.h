/* Compares the two accounts of one log: what the inside witness says must have left a trace
 * outside, and what the outside witness saw of a host or an instance must have been said inside.
 * Which kinds have counterparts stands in docs/decisions/2026-11-26-claims.md.
 *
 * The accounts come into the log through different queues. A half waits for its counterpart until
 * PV_RECONCILE_WINDOW entries later, or until the end; memory is bounded by that. One thread. */
#pragma once
#include "pv/event.h"
#include "pv/own.h"

enum { PV_RECONCILE_WINDOW = 131072 };

/* Numbers of no meaning outside; the names of pv_finding_name are the interface. */
enum pv_finding_kind {
    PV_FIND_ALARM,             /* a monitor-alarm */
    PV_FIND_UNWATCHED,         /* a request ran in a micro-VM whose monitor nobody watched */
    PV_FIND_BAD_CLAIM,         /* a monitor opened what its claim does not cover */
    PV_FIND_OPEN_UNTOLD,       /* a monitor opened for a request what the inside does not tell */
    PV_FIND_OPEN_UNSEEN,       /* the inside tells of a file that its monitor never opened */
    PV_FIND_INSTANCE_UNSEEN,   /* an instance without a process */
    PV_FIND_PROCESS_UNTOLD,    /* a program ran in a process that belongs to no instance */
    PV_FIND_CONNECTION_UNSEEN, /* the host accepted what no process of the instance made */
    PV_FIND_CONNECTION_UNTOLD, /* a process connected to a broker, its host says nothing of it */
    PV_FIND_CALL_UNCONNECTED,  /* the gateway served a connection that the host did not tell of */
    PV_FIND_ANSWER_UNSEEN,     /* an answer that no process of the instance wrote */
    PV_FIND_GAP,               /* records of the outside witness are lost */
    PV_FIND_NO_WITNESS,        /* there is no outside witness from here on */
    PV_FIND_KINDS
};
/* "alarm", "connection-unseen", …; static. */
const char *pv_finding_name(enum pv_finding_kind kind);

struct pv_finding {
    enum pv_finding_kind kind;
    uint64_t seq; /* the event that shows it, or that lacks its counterpart */
    struct pv_call_id call;
    const char *text; /* a sentence, as recorded: escape it before printing. Borrowed */
};
/* A negative value stops and is returned. */
typedef int (*pv_finding_fn)(void *ctx, const struct pv_finding *f);

enum pv_pair_kind {
    PV_PAIR_INSTANCE,   /* instance-prepared, proc-fork */
    PV_PAIR_CONNECTION, /* connection, connect */
    PV_PAIR_CALL,       /* connection, and the gateway's call or egress */
    PV_PAIR_ANSWER,     /* invocation-end, write */
    PV_PAIR_OPEN,       /* access, monitor-open */
    PV_PAIR_KINDS
};
/* "instances", "connections", …; static. */
const char *pv_pair_name(enum pv_pair_kind kind);

struct pv_reconcile_totals {
    uint64_t pairs[PV_PAIR_KINDS]; /* that were complete */
    uint64_t findings;
    uint64_t excused; /* halves that a host left when it died */
};

struct pv_reconcile;
/* fn gets every finding of an event with since <= seq < until; earlier and later events count as
 * counterparts only. */
PV_MUST_CHECK int pv_reconcile_new(struct pv_reconcile **ret, uint64_t since, uint64_t until,
                                   pv_finding_fn fn, void *ctx, struct pv_err *err);
/* Events in the order of the log, from wherever it begins. */
PV_MUST_CHECK int pv_reconcile_event(struct pv_reconcile *r, uint64_t seq, const struct pv_event *e,
                                     struct pv_err *err);
/* Whether an event before until still waits for a counterpart that it must have. */
bool pv_reconcile_waits(const struct pv_reconcile *r);
/* Nothing more comes: what waits is a finding. */
PV_MUST_CHECK int pv_reconcile_end(struct pv_reconcile *r, struct pv_reconcile_totals *ret,
                                   struct pv_err *err);
/* Accepts NULL. */
void pv_reconcile_free(struct pv_reconcile *r);
PV_DEFINE_CLEANUP(struct pv_reconcile, pv_reconcile_free)
