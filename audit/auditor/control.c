/* What the supervisor may tell the auditor: one table, message and handler. The supervisor is
 * trusted, its messages are parsed strictly all the same. */
#include "auditor.h"

#include "witness.h"

#include "pv/log.h"
#include "pv/role.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

int auditor_say(uint16_t type, const struct pv_domain_id *domain, struct pv_err *err)
{
    pv_automsg struct pv_msg m;
    pv_msg_init(&m, type);
    if (domain)
        pv_buf_raw(&m.body, domain->bytes, sizeof domain->bytes);
    int rc = pv_msg_send(PV_ROLE_CONTROL_FD, &m, err);
    /* The supervisor is gone: the next read of the socket ends the loop. */
    return rc == -EPIPE || rc == -ECONNRESET ? 0 : rc;
}

static void read_domain(struct pv_reader *r, struct pv_domain_id *id)
{
    const uint8_t *p = pv_read_raw(r, sizeof id->bytes);
    memset(id, 0, sizeof *id);
    if (p)
        memcpy(id->bytes, p, sizeof id->bytes);
}

/* Gives a new domain its ratchet. */
static int take_key(struct auditor *a, struct producer *p, const uint8_t *seed, struct pv_err *err)
{
    unsigned slot;
    if (p->slot != PRODUCER_NO_SLOT || p->next_dseq != 0)
        return 0;
    chain_init(&p->chain, seed);
    PV_TRY(ratchets_add(a->ratchets, &p->id, &p->chain, &slot, err));
    p->slot = (int)slot;
    return 0;
}

/* What the auditor owes the supervisor waits while the socket is full: never is there a wait in
 * which the two could hold each other up. */
static int say_tracing(struct producer *p, struct pv_err *err)
{
    int rc = auditor_say(PV_AUDIT_TRACING, &p->id, err);
    p->owes_tracing = rc == -EAGAIN;
    return rc == -EAGAIN ? 0 : rc;
}

static int trace(struct auditor *a, struct producer *p, struct pv_err *err)
{
    if (a->witness && p->traced_pid)
        PV_TRY(witness_trace(a->witness, p->traced_pid, p->hold, err));
    return say_tracing(p, err);
}

static int on_domain(struct auditor *a, struct pv_msg *m, struct pv_err *err)
{
    struct pv_reader r = pv_msg_reader(m);
    struct pv_domain_id id;
    struct pv_err why = PV_ERR_INIT;
    char name[sizeof((struct producer *)0)->name];
    size_t seed_len;
    read_domain(&r, &id);
    pv_read_str(&r, name, sizeof name);
    const uint8_t *seed = pv_read_bytes(&r, PV_KEY_BYTES, &seed_len);
    uint64_t pid = pv_read_u64(&r);
    uint8_t hold = pv_read_u8(&r);
    PV_TRY(pv_reader_end(&r, "domain message", err));
    struct producer *p = producers_get(&a->producers, &id);
    if (!p)
        return pv_fail(err, ENOMEM, "remember a domain");
    if (p->announced || p == a->self)
        return pv_refuse(err, EPROTO, "domain '%s' was announced twice", name);
    p->announced = true;
    snprintf(p->name, sizeof p->name, "%s", name);
    p->traced_pid = pid;
    p->hold = hold != 0;
    if (seed_len == PV_KEY_BYTES) {
        /* One producer too many is that producer's misfortune: it is never told to begin. */
        if (take_key(a, p, seed, &why) < 0) {
            auditor_condemn(p, why.text);
            return 0;
        }
    } else {
        a->orphan_rings++;
    }
    int fd = pv_msg_take_fd(m, 0);
    if (pv_ring_reader_open(&p->ring, fd, &why) < 0) {
        if (fd >= 0)
            (void)close(fd);
        auditor_condemn(p, why.text);
    }
    return trace(a, p, err);
}

static int say_watched(struct producer *p, struct pv_err *err)
{
    int rc = auditor_say(PV_AUDIT_WATCHED, &p->id, err);
    p->owes_watched = rc == -EAGAIN;
    return rc == -EAGAIN ? 0 : rc;
}

/* The host runs no request before the answer: what it does from then on is watched. */
static int on_sealed(struct auditor *a, struct pv_msg *m, struct pv_err *err)
{
    struct pv_reader r = pv_msg_reader(m);
    struct pv_domain_id id;
    read_domain(&r, &id);
    uint64_t claim = pv_read_u64(&r);
    PV_TRY(pv_reader_end(&r, "message of a sealed host", err));
    struct producer *p = producers_find(&a->producers, &id);
    if (!p || p->gone)
        return 0;
    if (p->traced_pid)
        PV_TRY(auditor_watch(a, p, (int64_t)claim, err));
    return say_watched(p, err);
}

/* Whom the supervisor does not know now has no process and no ring: its ring was removed by hand.
 * It is seen off like one that ended, so that its key does not lie about for ever. */
static int on_domains_end(struct auditor *a, struct pv_msg *m, struct pv_err *err)
{
    struct pv_reader r = pv_msg_reader(m);
    PV_TRY(pv_reader_end(&r, "end of the domains", err));
    for (struct producer *p = a->producers.head; p; p = p->hh.next) {
        if (p->announced || p == a->self)
            continue;
        p->gone = true;
    }
    return 0;
}

static int on_domain_gone(struct auditor *a, struct pv_msg *m, struct pv_err *err)
{
    struct pv_reader r = pv_msg_reader(m);
    struct pv_domain_id id;
    read_domain(&r, &id);
    PV_TRY(pv_reader_end(&r, "domain message", err));
    struct producer *p = producers_find(&a->producers, &id);
    if (!p)
        return auditor_say(PV_AUDIT_DOMAIN_DONE, &id, err);
    p->gone = true;
    p->empty = false; /* what it wrote last is still to be looked for */
    if (a->witness && p->traced_pid)
        witness_untrace(a->witness, p->traced_pid);
    return 0;
}

static int on_drain(struct auditor *a, struct pv_msg *m, struct pv_err *err)
{
    (void)err;
    (void)m;
    a->draining = true;
    return 0;
}

static const struct {
    uint16_t type;
    int (*handle)(struct auditor *a, struct pv_msg *m, struct pv_err *err);
} handlers[] = {
    {PV_AUDIT_DOMAIN, on_domain},
    {PV_AUDIT_SEALED, on_sealed},
    {PV_AUDIT_DOMAIN_GONE, on_domain_gone},
    {PV_AUDIT_DOMAINS_END, on_domains_end},
    {PV_ROLE_DRAIN, on_drain},
};

static int dispatch(struct auditor *a, struct pv_msg *m, struct pv_err *err)
{
    for (size_t i = 0; i < sizeof handlers / sizeof *handlers; i++)
        if (handlers[i].type == m->type)
            return handlers[i].handle(a, m, err);
    return pv_refuse(err, EPROTO, "message of type %u is not for the auditor", m->type);
}

int auditor_control(struct auditor *a, struct pv_err *err)
{
    while (!a->control_closed) {
        pv_automsg struct pv_msg m = {.type = 0};
        struct pv_err why = PV_ERR_INIT;
        int rc = pv_msg_recv(PV_ROLE_CONTROL_FD, &m, &why);
        if (rc == -EAGAIN)
            return 0;
        if (rc <= 0) {
            a->control_closed = true;
            return 0;
        }
        PV_TRY(dispatch(a, &m, err));
        if (m.body.data)
            explicit_bzero(m.body.data, m.body.len);
    }
    return 0;
}

/* What it had noted and made no event of is gone with it, however it ended. */
static int say_unrecorded(struct auditor *a, struct producer *p, struct pv_err *err)
{
    uint64_t count = p->ring && !p->unrecorded_said ? pv_ring_reader_unrecorded(p->ring) : 0;
    if (count > 0)
        PV_TRY(auditor_emit_unrecorded(a, p, count, err));
    p->unrecorded_said = true;
    return 0;
}

/* Its end goes into the log, unless it said so itself or never began. */
static int finish(struct auditor *a, struct producer *p, struct pv_err *err)
{
    if (p->fault[0] || !pv_log_has_room(a->log))
        return 0; /* at a later turn */
    PV_TRY(say_unrecorded(a, p, err));
    if (!p->closed && p->next_dseq > 0)
        PV_TRY(auditor_emit_close(a, &p->id, p->announced ? "process ended" : "ring missing", err));
    p->closed = p->finished = true;
    p->finish_size = pv_log_size(a->log);
    return 0;
}

/* Its last key, once its last event is signed; it may be erased when that is signed as well. */
static int disclose_last(struct auditor *a, struct producer *p, struct pv_err *err)
{
    if (p->slot == PRODUCER_NO_SLOT || p->chain.now.index == p->chain.now.first) {
        p->disclosed = true;
        return 0;
    }
    if (p->chain.ended.count || !pv_log_has_room(a->log))
        return 0; /* at a later turn */
    struct chain before = p->chain;
    chain_finish(&p->chain);
    int rc = auditor_disclose(a, p, err);
    if (rc < 0)
        p->chain = before;
    chain_done(&before);
    PV_TRY(rc);
    p->touched = false; /* the slot stays as it is until it is erased */
    p->disclosed = true;
    p->finish_size = pv_log_size(a->log);
    return 0;
}

int auditor_finish_gone(struct auditor *a, struct pv_err *err)
{
    struct producer *p, *next;
    HASH_ITER(hh, a->producers.head, p, next)
    {
        if (p->owes_tracing)
            PV_TRY(say_tracing(p, err));
        if (p->owes_watched)
            PV_TRY(say_watched(p, err));
        if (!p->gone)
            continue;
        if (!p->finished && (!p->ring || p->condemned || p->empty))
            PV_TRY(finish(a, p, err));
        if (!p->finished || pv_log_signed_size(a->log) < p->finish_size)
            continue;
        if (!p->disclosed)
            PV_TRY(disclose_last(a, p, err));
        if (!p->disclosed || pv_log_signed_size(a->log) < p->finish_size)
            continue;
        if (p->slot != PRODUCER_NO_SLOT)
            ratchets_erase(a->ratchets, (unsigned)p->slot);
        p->slot = PRODUCER_NO_SLOT;
        int rc = p->announced ? auditor_say(PV_AUDIT_DOMAIN_DONE, &p->id, err) : 0;
        if (rc == -EAGAIN)
            continue;
        PV_TRY(rc);
        producers_remove(&a->producers, p);
    }
    return 0;
}
