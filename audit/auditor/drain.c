#include "auditor.h"

#include "pv/clock.h"
#include "pv/log.h"
#include "pv/role.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RECORDS_PER_RING = 512 };

void auditor_condemn(struct producer *p, const char *what)
{
    char hex[2 * PV_DOMAIN_ID_BYTES + 1];
    pv_hex(p->id.bytes, sizeof p->id.bytes, hex);
    pv_log(PV_LOG_ERROR, "producer fault: domain %s (%s): %s", hex, p->name, what);
    p->condemned = true;
    snprintf(p->fault, sizeof p->fault, "%s", what);
}

int auditor_report_fault(struct auditor *a, struct producer *p, struct pv_err *err)
{
    if (!p->fault[0] || !pv_log_has_room(a->log))
        return 0;
    PV_TRY(auditor_emit_fault(a, p, p->fault, err));
    p->fault[0] = 0;
    return 0;
}

static int condemn(struct auditor *a, struct producer *p, const char *what, struct pv_err *err)
{
    auditor_condemn(p, what);
    return auditor_report_fault(a, p, err);
}

static const char *check_open(const struct producer *p, const struct pv_event *e)
{
    uint8_t commitment[PV_HASH_BYTES];
    const struct pv_value *v = pv_event_field(e, "commitment");
    if (p->next_dseq != 0)
        return e->kind == PV_K_DOMAIN_OPEN ? "opens its domain again" : NULL;
    if (e->kind != PV_K_DOMAIN_OPEN)
        return "does not begin with domain-open";
    pv_ratchet_commitment(&p->chain.now, commitment);
    if (!v || v->len != sizeof commitment || memcmp(v->bytes, commitment, sizeof commitment) != 0)
        return "commits to another key than it was given";
    return NULL;
}

static const char *check_epoch_end(const struct producer *p, const struct pv_event *e)
{
    uint8_t commitment[PV_HASH_BYTES];
    const struct pv_value *v = pv_event_field(e, "next_commitment");
    if (p->next_dseq == 0)
        return "does not begin with domain-open";
    if (p->chain.ended.count)
        return "ends its epoch before the one before lies under a checkpoint";
    pv_ratchet_next_commitment(&p->chain.now, commitment);
    if (!v || v->len != sizeof commitment || memcmp(v->bytes, commitment, sizeof commitment) != 0)
        return "commits to another key than its next";
    return NULL;
}

/* What is wrong with the event as the next of this producer; NULL when nothing is. */
static const char *check_event(const struct producer *p, const struct pv_event *e)
{
    if (memcmp(e->domain.bytes, p->id.bytes, sizeof p->id.bytes) != 0)
        return "speaks for another domain";
    if (p->closed)
        return "goes on after its domain-close";
    if (e->dseq != p->next_dseq)
        return "numbers its events wrongly";
    if (p->slot == PRODUCER_NO_SLOT || p->chain.now.index != p->next_dseq)
        return "has events whose key is not known any more";
    if (e->epoch != p->chain.now.epoch)
        return "names a wrong epoch";
    if (e->kind == PV_K_EPOCH_END)
        return check_epoch_end(p, e);
    if (e->kind >= PV_K_LOG_OPEN)
        return "emits an event that only the auditor may";
    if (e->kind == PV_K_DOMAIN_CLOSE) {
        const struct pv_value *v = pv_event_field(e, "closed_domain");
        if (!v || v->len != sizeof p->id.bytes || memcmp(v->bytes, p->id.bytes, v->len) != 0)
            return "closes a domain that is not its own";
    }
    return check_open(p, e);
}

static int take_record(struct auditor *a, struct producer *p, const struct pv_ring_record *rec,
                       struct pv_err *err)
{
    struct pv_event e;
    struct pv_err why = PV_ERR_INIT;
    uint8_t tag[PV_TAG_BYTES];
    p->taken = true;
    if (pv_event_decode(rec->event, rec->event_len, &e, &why) < 0)
        return condemn(a, p, why.text, err);
    /* In the log already: the auditor died between writing it and giving the space back. */
    if (e.dseq < p->next_dseq && memcmp(e.domain.bytes, p->id.bytes, sizeof p->id.bytes) == 0)
        return 0;
    const char *fault = check_event(p, &e);
    if (fault)
        return condemn(a, p, fault, err);
    struct chain next = p->chain;
    chain_take(&next, rec->event, rec->event_len, e.kind == PV_K_EPOCH_END, tag);
    bool right = memcmp(tag, rec->tag, sizeof tag) == 0;
    int rc = right ? pv_log_append(a->log, rec->event, rec->event_len, tag, err) : 0;
    if (right && rc == 0)
        p->chain = next;
    chain_done(&next);
    if (!right)
        return condemn(a, p, "carries a wrong tag", err);
    PV_TRY(rc);
    p->next_dseq++;
    p->touched = true;
    p->closed = e.kind == PV_K_DOMAIN_CLOSE;
    a->orphan_events += p->gone;
    auditor_note_unsigned(a, e.kind);
    return 0;
}

static int drain_ring(struct auditor *a, struct producer *p, unsigned budget, unsigned *ret_taken,
                      struct pv_err *err)
{
    while (*ret_taken < budget && !p->condemned && pv_log_has_room(a->log)) {
        struct pv_ring_record rec;
        struct pv_err why = PV_ERR_INIT;
        int rc = pv_ring_reader_next(p->ring, &rec, &why);
        p->empty = rc == 0;
        if (rc == 0)
            return 0;
        if (rc < 0)
            return condemn(a, p, why.text, err);
        ++*ret_taken;
        PV_TRY(take_record(a, p, &rec, err));
    }
    return 0;
}

int auditor_drain(struct auditor *a, unsigned budget, unsigned *ret_taken, struct pv_err *err)
{
    struct producer *p, *next;
    unsigned total = 0;
    HASH_ITER(hh, a->producers.head, p, next)
    {
        unsigned taken = 0;
        unsigned share = budget - total < RECORDS_PER_RING ? budget - total : RECORDS_PER_RING;
        PV_TRY(auditor_report_fault(a, p, err));
        if (p->ring)
            PV_TRY(drain_ring(a, p, share, &taken, err));
        total += taken;
    }
    *ret_taken = total;
    return 0;
}

int auditor_write(struct auditor *a, struct pv_err *err)
{
    int rc = pv_log_write(a->log, err);
    a->stalled = rc < 0;
    PV_TRY(rc);
    struct producer *p, *next;
    HASH_ITER(hh, a->producers.head, p, next)
    {
        if (p->ring && p->taken)
            pv_ring_reader_release(p->ring, p->next_dseq);
        p->taken = false;
    }
    return 0;
}

int auditor_commit(struct auditor *a, struct pv_err *err)
{
    PV_TRY(auditor_write(a, err));
    int rc = pv_log_commit(a->log, err);
    a->stalled = rc < 0;
    PV_TRY(rc);
    struct producer *p, *next;
    HASH_ITER(hh, a->producers.head, p, next)
    {
        if (!p->touched)
            continue;
        p->touched = false;
        if (p->slot != PRODUCER_NO_SLOT)
            ratchets_put(a->ratchets, (unsigned)p->slot, &p->chain);
        if (p->chain.ended.count)
            PV_TRY(auditor_disclose(a, p, err));
        if (p->ring)
            pv_ring_reader_signed(p->ring, p->next_dseq);
    }
    a->oldest_unsigned_ns = 0;
    a->critical = false;
    a->last_commit_ns = pv_now_mono_ns();
    return pv_log_publish(a->log, false, err);
}
