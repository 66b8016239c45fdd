/* Disclosing the first key of an epoch that lies under a checkpoint, so that anyone can recheck its
 * tags: what the key could forge is fixed by then. */
#include "auditor.h"

#include "pv/clock.h"

int auditor_disclose(struct auditor *a, struct producer *p, struct pv_err *err)
{
    const struct epoch_key *k = &p->chain.ended;
    struct pv_event e;
    pv_event_init(&e, PV_K_KEY_DISCLOSED, NULL);
    pv_event_bytes(&e, p->id.bytes, sizeof p->id.bytes);
    pv_event_u64(&e, k->epoch);
    pv_event_u64(&e, k->first);
    pv_event_u64(&e, k->count);
    pv_event_bytes(&e, k->key, sizeof k->key);
    PV_TRY(auditor_emit(a, &e, err));
    chain_forget(&p->chain, k->epoch);
    /* Its slot keeps the key until the disclosure is signed itself. */
    p->touched = true;
    return 0;
}

/* The auditor's own epochs, at a moment when no record of the witness waits for its number. */
int auditor_end_own_epoch(struct auditor *a, struct pv_err *err)
{
    struct producer *self = a->self;
    const struct pv_ratchet *now = &self->chain.now;
    uint8_t next[PV_HASH_BYTES];
    struct pv_event e;
    uint64_t n = now->index - now->first, now_ns = pv_now_mono_ns();
    bool due = n >= PV_EPOCH_EVENTS ||
               (a->epoch_tells && now_ns - a->epoch_since_ns >= PV_EPOCH_MS * PV_NS_PER_MS);
    if (!due || self->chain.ended.count || !pv_log_has_room(a->log))
        return 0;
    pv_ratchet_next_commitment(now, next);
    pv_event_init(&e, PV_K_EPOCH_END, NULL);
    pv_event_bytes(&e, next, sizeof next);
    PV_TRY(auditor_emit(a, &e, err));
    a->epoch_since_ns = now_ns;
    a->epoch_tells = false;
    return 0;
}
