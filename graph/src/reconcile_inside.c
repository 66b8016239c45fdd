/* What gateway, hosts, supervisor and auditor say. */
#include "reconcile_core.h"

#include <fcntl.h>

static int on_domain_open(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err)
{
    const struct rec_key key = rec_key(rec_domain_number(e->domain.bytes), 0, 0);
    struct rec_row *d = NULL;
    bool is_new = false;

    PV_TRY(rec_get(&r->domains, &key, &d, &is_new, err));
    if (is_new)
        d->first = r->seq;
    d->pid = rec_number(e, "pid");
    pv_event_get_text(e, "name", d->text, sizeof d->text);
    return 0;
}

static void on_domain_close(struct pv_reconcile *r, const struct pv_event *e)
{
    const struct pv_value *id = pv_event_field(e, "closed_domain");
    struct rec_row *d =
        id && id->len == PV_DOMAIN_ID_BYTES ? rec_domain(r, rec_domain_number(id->bytes)) : NULL;

    if (d && memcmp(id->bytes, e->domain.bytes, id->len) != 0)
        d->died = true;
}

/* A new auditor may say so before it has taken the domain's first event out of its ring. */
static int on_watched(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err)
{
    const struct pv_value *id = pv_event_field(e, "watched_domain");
    struct rec_row *d = NULL;
    bool is_new = false;

    if (!id || id->len != PV_DOMAIN_ID_BYTES)
        return 0;
    const struct rec_key key = rec_key(rec_domain_number(id->bytes), 0, 0);
    PV_TRY(rec_get(&r->domains, &key, &d, &is_new, err));
    if (is_new)
        d->first = r->seq;
    d->watched = true;
    d->pid = rec_number(e, "pid");
    return 0;
}

static struct rec_row *instance_of(const struct pv_reconcile *r, const struct pv_event *e)
{
    const struct rec_key key =
        rec_key(rec_domain_number(e->domain.bytes), rec_number(e, "instance"), 0);

    return rec_find(&r->instances, &key);
}

static int on_prepared(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err)
{
    uint64_t domain = rec_domain_number(e->domain.bytes);
    const struct rec_key key = rec_key(domain, rec_number(e, "instance"), 0);
    struct rec_row *i = NULL, *p = NULL, *root = NULL;
    bool is_new = false;

    PV_TRY(rec_get(&r->instances, &key, &i, &is_new, err));
    i->pid = rec_number(e, "pid");
    i->ticks = rec_number(e, "start_ticks");
    i->number = rec_number(e, "stdout_ino");
    i->is_vm = i->pid == 0;
    if (i->is_vm || !r->has_witness)
        return 0;
    PV_TRY(rec_root_row(r, i->pid, i->ticks, &root, err));
    root->domain = domain;
    const struct rec_key birth = rec_key(i->pid, i->ticks, 0);
    PV_TRY(rec_half(r, PV_PAIR_INSTANCE, &birth, INSIDE, e, &p, err));
    p->pid = i->pid;
    p->ticks = i->ticks;
    p->domain = domain;
    return 0;
}

static void on_destroyed(struct pv_reconcile *r, const struct pv_event *e)
{
    struct rec_row *i = instance_of(r, e);

    if (i)
        rec_drop(&r->instances, i);
}

static int on_begin(struct pv_reconcile *r, const struct pv_event *e)
{
    const struct rec_row *i = instance_of(r, e);
    struct rec_row *d = rec_domain(r, rec_domain_number(e->domain.bytes));

    if (!i || !i->is_vm || !d || d->watched || !r->has_witness)
        return 0;
    return rec_found(r, PV_FIND_UNWATCHED, r->seq, &e->invocation,
                     "a request runs in a micro-VM of %s (pid %ju), whose monitor is not watched",
                     d->text, (uintmax_t)d->pid);
}

static int on_end(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err)
{
    const struct rec_row *i = instance_of(r, e);
    struct rec_row *p = NULL;

    if (!i || i->is_vm || !r->has_witness || rec_number(e, "body_len") == 0)
        return 0;
    const struct rec_key key = rec_key(i->pid, i->ticks, i->number);
    PV_TRY(rec_half(r, PV_PAIR_ANSWER, &key, INSIDE, e, &p, err));
    p->pid = i->pid;
    p->domain = rec_domain_number(e->domain.bytes);
    return 0;
}

static int on_connection(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err)
{
    const struct rec_row *i = instance_of(r, e);
    const struct rec_key served = rec_call_key(rec_number(e, "connection"), &e->invocation);
    struct rec_row *p = NULL;
    char broker[16];

    PV_TRY(rec_half(r, PV_PAIR_CALL, &served, INSIDE, e, &p, err));
    if (!i || i->is_vm || !r->has_witness)
        return 0;
    pv_event_get_text(e, "broker", broker, sizeof broker);
    uint64_t port = strcmp(broker, "proxy") == 0 ? PROXY_PORT : GATEWAY_PORT;
    const struct rec_key key =
        rec_connection_key(i->pid, i->ticks, rec_number(e, "source_port"), port);
    PV_TRY(rec_half(r, PV_PAIR_CONNECTION, &key, INSIDE, e, &p, err));
    p->pid = i->pid;
    p->ticks = i->ticks;
    p->number = port;
    p->domain = rec_domain_number(e->domain.bytes);
    return 0;
}

static int on_served(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err)
{
    const struct rec_key key = rec_call_key(rec_number(e, "connection"), &e->invocation);
    struct rec_row *p = NULL;

    return rec_half(r, PV_PAIR_CALL, &key, OUTSIDE, e, &p, err);
}

static void on_denied(struct pv_reconcile *r, const struct pv_event *e)
{
    struct rec_row *d = rec_domain(r, rec_domain_number(e->domain.bytes));
    char what[16], object[32];

    pv_event_get_text(e, "what", what, sizeof what);
    pv_event_get_text(e, "object", object, sizeof object);
    if (d && strcmp(what, "connection") == 0)
        d->denied[strcmp(object, "127.0.0.1:3128") == 0]++;
}

static int on_access(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err)
{
    struct rec_row *d = rec_domain(r, rec_domain_number(e->domain.bytes));
    struct rec_row *p = NULL;
    char what[24];

    if (pv_call_id_is_none(&e->invocation))
        return 0; /* before the seal nobody else looks */
    pv_event_get_text(e, "what", what, sizeof what);
    if (d && strcmp(what, "lost") == 0) {
        const struct rec_key cut = rec_call_key(d->pid, &e->invocation);
        bool is_new = false;

        return rec_get(&r->cut, &cut, &p, &is_new, err);
    }
    if (!d || !r->has_witness || !d->watched || strcmp(what, "open") != 0 ||
        !rec_number(e, "ino") || rec_number(e, "flags") & O_PATH ||
        (int64_t)rec_number(e, "result") < 0)
        return 0;
    const struct rec_key key = rec_open_key(d->pid, e);
    PV_TRY(rec_half(r, PV_PAIR_OPEN, &key, INSIDE, e, &p, err));
    p->pid = d->pid;
    p->domain = d->key.a;
    pv_event_get_text(e, "path", p->text, sizeof p->text);
    return 0;
}

static int on_log_open(struct pv_reconcile *r, const struct pv_event *e)
{
    char witness[160];

    pv_event_get_text(e, "witness", witness, sizeof witness);
    r->has_witness = strncmp(witness, "ebpf ", 5) == 0 || strncmp(witness, "replay ", 7) == 0;
    if (!strstr(witness, " reused"))
        for (struct rec_row *d = r->domains.rows; d; d = d->hh.next)
            d->watched = false;
    if (!strstr(witness, " reused") && rec_number(e, "size") > 0)
        r->loaded = r->seq;
    return r->has_witness ? 0
                          : rec_found(r, PV_FIND_NO_WITNESS, r->seq, &e->invocation,
                                      "from here on there is no outside witness (%s)", witness);
}

/* A host that took notes of accesses with it: witness is "inside" and its domain. */
static int on_lost_notes(struct pv_reconcile *r, const struct pv_event *e, const char *domain)
{
    struct pv_domain_id id = {{0}};
    struct rec_row *d = pv_unhex(domain, id.bytes, sizeof id.bytes)
                            ? rec_domain(r, rec_domain_number(id.bytes))
                            : NULL;

    if (d)
        d->died = true;
    return rec_found(r, PV_FIND_GAP, r->seq, &e->invocation,
                     "%s ended with at most %ju accesses of its micro-VMs noted and in no event",
                     d ? d->text : domain, (uintmax_t)rec_number(e, "count"));
}

static int on_gap(struct pv_reconcile *r, const struct pv_event *e)
{
    char witness[64];

    pv_event_get_text(e, "witness", witness, sizeof witness);
    if (strncmp(witness, "inside ", 7) == 0)
        return on_lost_notes(r, e, witness + 7);
    return rec_found(
        r, PV_FIND_GAP, r->seq, &e->invocation,
        "%ju records of the outside witness are lost (CPU %ju, from %ju on): what lacks a "
        "counterpart may have had it there",
        (uintmax_t)rec_number(e, "count"), (uintmax_t)rec_number(e, "cpu"),
        (uintmax_t)rec_number(e, "first_missing"));
}

int rec_inside(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err)
{
    switch ((unsigned)e->kind) {
    case PV_K_DOMAIN_OPEN:
        return on_domain_open(r, e, err);
    case PV_K_DOMAIN_CLOSE:
        on_domain_close(r, e);
        return 0;
    case PV_K_LOG_OPEN:
        return on_log_open(r, e);
    case PV_K_GAP:
        return on_gap(r, e);
    case PV_K_MONITOR_WATCHED:
        return on_watched(r, e, err);
    case PV_K_INSTANCE_PREPARED:
        return on_prepared(r, e, err);
    case PV_K_INSTANCE_DESTROYED:
        on_destroyed(r, e);
        return 0;
    case PV_K_INVOCATION_BEGIN:
        return on_begin(r, e);
    case PV_K_INVOCATION_END:
        return on_end(r, e, err);
    case PV_K_CONNECTION:
        return on_connection(r, e, err);
    case PV_K_CALL:
    case PV_K_EGRESS:
        return on_served(r, e, err);
    case PV_K_DENIED:
        on_denied(r, e);
        return 0;
    case PV_K_ACCESS:
        return on_access(r, e, err);
    default:
        return 0;
    }
}
