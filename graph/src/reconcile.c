#include "reconcile_core.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* Of what lives: more than a machine has. */
enum { LIVING_MAX = 65536, SOCKETS_MAX = 4096 };

const char *pv_finding_name(enum pv_finding_kind kind)
{
    static const char *const names[PV_FIND_KINDS] = {
        [PV_FIND_ALARM] = "alarm",
        [PV_FIND_UNWATCHED] = "unwatched",
        [PV_FIND_BAD_CLAIM] = "bad-claim",
        [PV_FIND_OPEN_UNTOLD] = "open-untold",
        [PV_FIND_OPEN_UNSEEN] = "open-unseen",
        [PV_FIND_INSTANCE_UNSEEN] = "instance-unseen",
        [PV_FIND_PROCESS_UNTOLD] = "process-untold",
        [PV_FIND_CONNECTION_UNSEEN] = "connection-unseen",
        [PV_FIND_CONNECTION_UNTOLD] = "connection-untold",
        [PV_FIND_CALL_UNCONNECTED] = "call-unconnected",
        [PV_FIND_ANSWER_UNSEEN] = "answer-unseen",
        [PV_FIND_GAP] = "gap",
        [PV_FIND_NO_WITNESS] = "no-witness",
    };

    return names[kind];
}

const char *pv_pair_name(enum pv_pair_kind kind)
{
    static const char *const names[PV_PAIR_KINDS] = {
        [PV_PAIR_INSTANCE] = "instances", [PV_PAIR_CONNECTION] = "connections",
        [PV_PAIR_CALL] = "calls",         [PV_PAIR_ANSWER] = "answers",
        [PV_PAIR_OPEN] = "opens",
    };

    return names[kind];
}

int pv_reconcile_new(struct pv_reconcile **ret, uint64_t since, uint64_t until, pv_finding_fn fn,
                     void *ctx, struct pv_err *err)
{
    struct pv_reconcile *r = calloc(1, sizeof *r);

    if (!r)
        return pv_fail(err, ENOMEM, "compare the two accounts");
    pv_keyed_hash_init();
    r->since = since;
    r->until = until;
    r->fn = fn;
    r->ctx = ctx;
    for (unsigned i = 0; i < PV_PAIR_KINDS; i++)
        r->pairs[i].max = UINT32_MAX; /* their age bounds them */
    r->domains.max = r->instances.max = r->roots.max = r->procs.max = r->pipes.max = r->cut.max =
        LIVING_MAX;
    r->sockets.max = SOCKETS_MAX;
    *ret = r;
    return 0;
}

void pv_reconcile_free(struct pv_reconcile *r)
{
    if (!r)
        return;
    for (unsigned i = 0; i < PV_PAIR_KINDS; i++)
        rec_clear(&r->pairs[i]);
    struct rec_table *all[] = {&r->domains, &r->instances, &r->roots, &r->procs,
                               &r->sockets, &r->pipes,     &r->cut};
    for (unsigned i = 0; i < sizeof all / sizeof all[0]; i++)
        rec_clear(all[i]);
    free(r);
}

/* --- findings --- */

int rec_found(struct pv_reconcile *r, enum pv_finding_kind kind, uint64_t seq,
              const struct pv_call_id *call, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    if (seq < r->since || seq >= r->until)
        return 0;
    va_start(ap, fmt);
    (void)vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    r->totals.findings++;
    const struct pv_finding f = {.kind = kind, .seq = seq, .call = *call, .text = text};
    return r->fn(r->ctx, &f);
}

struct rec_row *rec_domain(const struct pv_reconcile *r, uint64_t domain)
{
    const struct rec_key key = rec_key(domain, 0, 0);

    return rec_find(&r->domains, &key);
}

struct rec_row *rec_root(const struct pv_reconcile *r, uint64_t pid, uint64_t ticks)
{
    const struct rec_key key = rec_key(pid, ticks, 0);

    return rec_find(&r->roots, &key);
}

/* What could not have been seen: its counterpart lies before what the log holds, or before the
 * probes were loaded. */
static bool may_be_unseen(const struct pv_reconcile *r, const struct rec_row *p)
{
    const struct rec_row *d = rec_domain(r, p->domain);

    return (r->begin && p->first - r->begin < PV_RECONCILE_WINDOW) ||
           (r->loaded && (!d || d->first < r->loaded));
}

/* What could not be told: the host died first, or turned it away, which it says of no instance. */
static bool may_be_untold(struct pv_reconcile *r, const struct rec_row *p)
{
    const struct rec_row *root = rec_root(r, p->pid, p->ticks);
    struct rec_row *d = root ? rec_domain(r, root->domain) : NULL;
    unsigned broker = p->number == PROXY_PORT;

    if (d && d->denied[broker]) {
        d->denied[broker]--;
        return true;
    }
    return (d && d->died) || (r->begin && p->first - r->begin < PV_RECONCILE_WINDOW);
}

/* The host keeps so many accesses of a request and counts the rest. */
static bool is_cut(const struct pv_reconcile *r, const struct rec_row *p)
{
    const struct rec_key key = rec_call_key(p->pid, &p->call);

    return rec_find(&r->cut, &key) != NULL;
}

static const char *broker_name(uint64_t port)
{
    return port == PROXY_PORT ? "proxy" : "gateway";
}

static int judge_unseen(struct pv_reconcile *r, enum pv_pair_kind kind, const struct rec_row *p)
{
    uint64_t seq = p->side[INSIDE] - 1;

    if (kind == PV_PAIR_CALL) /* who has connected need not ask for anything */
        return 0;
    if (may_be_unseen(r, p)) {
        r->totals.excused++;
        return 0;
    }
    switch (kind) {
    case PV_PAIR_INSTANCE:
        return rec_found(
            r, PV_FIND_INSTANCE_UNSEEN, seq, &p->call,
            "an instance is prepared as process %ju, which the outside witness never saw",
            (uintmax_t)p->pid);
    case PV_PAIR_CONNECTION:
        return rec_found(
            r, PV_FIND_CONNECTION_UNSEEN, seq, &p->call,
            "a connection to the %s from port %ju, which no process of the instance (pid "
            "%ju) made",
            broker_name(p->number), (uintmax_t)p->key.c >> 16, (uintmax_t)p->pid);
    case PV_PAIR_ANSWER:
        return rec_found(r, PV_FIND_ANSWER_UNSEEN, seq, &p->call,
                         "an answer, which no process of the instance (pid %ju) wrote",
                         (uintmax_t)p->pid);
    case PV_PAIR_OPEN:
        return rec_found(r, PV_FIND_OPEN_UNSEEN, seq, &p->call,
                         "a micro-VM's program opens %s, which its monitor (pid %ju) never opened",
                         p->text, (uintmax_t)p->pid);
    case PV_PAIR_CALL:
    case PV_PAIR_KINDS:
        break;
    }
    return 0;
}

static int judge_untold(struct pv_reconcile *r, enum pv_pair_kind kind, const struct rec_row *p)
{
    uint64_t seq = p->side[OUTSIDE] - 1;
    const struct rec_row *root = NULL;

    switch (kind) {
    case PV_PAIR_INSTANCE:
        /* a host's own helpers execute nothing, and neither does what failed to become an instance
         */
        root = rec_root(r, p->pid, p->ticks);
        if (!root || !root->executed)
            return 0;
        return rec_found(r, PV_FIND_PROCESS_UNTOLD, seq, &p->call,
                         "process %ju executed %s, and no host tells of it", (uintmax_t)p->pid,
                         root->text);
    case PV_PAIR_CONNECTION:
        if (may_be_untold(r, p)) {
            r->totals.excused++;
            return 0;
        }
        return rec_found(
            r, PV_FIND_CONNECTION_UNTOLD, seq, &p->call,
            "a process of the instance with pid %ju connected to the %s, its host tells "
            "nothing of it",
            (uintmax_t)p->pid, broker_name(p->number));
    case PV_PAIR_CALL:
        return rec_found(r, PV_FIND_CALL_UNCONNECTED, seq, &p->call,
                         "the gateway served connection %ju of the call, of which no host tells",
                         (uintmax_t)p->key.a);
    case PV_PAIR_OPEN:
        if (is_cut(r, p)) {
            r->totals.excused++;
            return 0;
        }
        return rec_found(
            r, PV_FIND_OPEN_UNTOLD, seq, &p->call,
            "a monitor (pid %ju) opened %s and claims this call, whose account does not "
            "have it",
            (uintmax_t)p->pid, p->text);
    case PV_PAIR_ANSWER: /* not all that is written is an answer */
    case PV_PAIR_KINDS:
        break;
    }
    return 0;
}

static int judge(struct pv_reconcile *r, enum pv_pair_kind kind, struct rec_row *p)
{
    int rc = 0;

    if (p->side[INSIDE] && p->side[OUTSIDE])
        r->totals.pairs[kind]++;
    else if (p->side[INSIDE])
        rc = judge_unseen(r, kind, p);
    else
        rc = judge_untold(r, kind, p);
    rec_drop(&r->pairs[kind], p);
    return rc;
}

int rec_half(struct pv_reconcile *r, enum pv_pair_kind kind, const struct rec_key *key,
             unsigned side, const struct pv_event *e, struct rec_row **ret, struct pv_err *err)
{
    struct rec_row *p = NULL;
    bool is_new = false;

    PV_TRY(rec_get(&r->pairs[kind], key, &p, &is_new, err));
    if (is_new)
        p->first = r->seq;
    if (!p->side[side])
        p->side[side] = r->seq + 1;
    if (!pv_call_id_is_none(&e->invocation))
        p->call = e->invocation;
    *ret = p;
    return 0;
}

int rec_root_row(struct pv_reconcile *r, uint64_t pid, uint64_t ticks, struct rec_row **ret,
                 struct pv_err *err)
{
    const struct rec_key key = rec_key(pid, ticks, 0);
    bool is_new = false;

    PV_TRY(rec_get(&r->roots, &key, ret, &is_new, err));
    (*ret)->pid = pid;
    (*ret)->ticks = ticks;
    return 0;
}

int pv_reconcile_event(struct pv_reconcile *r, uint64_t seq, const struct pv_event *e,
                       struct pv_err *err)
{
    if (!r->begun) {
        r->begun = true;
        r->begin = seq;
        r->has_witness = seq > 0; /* what its beginning said is not there */
    }
    r->seq = seq;
    if (r->since && seq == r->since && !r->has_witness && e->kind != PV_K_LOG_OPEN)
        PV_TRY(rec_found(r, PV_FIND_NO_WITNESS, seq, &e->invocation,
                         "here there is no outside witness"));
    for (unsigned i = 0; i < PV_PAIR_KINDS; i++)
        while (r->pairs[i].rows && seq - r->pairs[i].rows->first >= PV_RECONCILE_WINDOW)
            PV_TRY(judge(r, (enum pv_pair_kind)i, r->pairs[i].rows));
    return e->kind >= PV_K_PROC_FORK ? rec_outside(r, e, err) : rec_inside(r, e, err);
}

bool pv_reconcile_waits(const struct pv_reconcile *r)
{
    for (unsigned i = 0; i < PV_PAIR_KINDS; i++)
        for (const struct rec_row *p = r->pairs[i].rows; p && p->first < r->until; p = p->hh.next) {
            bool is_whole = p->side[INSIDE] && p->side[OUTSIDE];
            bool may_stay =
                p->side[INSIDE] ? i == PV_PAIR_CALL : i == PV_PAIR_ANSWER || i == PV_PAIR_INSTANCE;

            if (!is_whole && !may_stay)
                return true;
        }
    return false;
}

int pv_reconcile_end(struct pv_reconcile *r, struct pv_reconcile_totals *ret, struct pv_err *err)
{
    (void)err;
    for (unsigned i = 0; i < PV_PAIR_KINDS; i++)
        while (r->pairs[i].rows)
            PV_TRY(judge(r, (enum pv_pair_kind)i, r->pairs[i].rows));
    *ret = r->totals;
    return 0;
}
