/* The auditor is a producer too: its events go into the batch directly, tagged by its own ratchet.
 */
#include "auditor.h"

#include "pv/clock.h"

#include <stdio.h>
#include <unistd.h>

void auditor_note_unsigned(struct auditor *a, unsigned kind)
{
    if (!a->oldest_unsigned_ns)
        a->oldest_unsigned_ns = pv_now_mono_ns();
    a->critical |= pv_kind_is_critical(kind);
}

/* Heartbeats and what ends and discloses epochs are no reason to end one: ending one would be the
 * reason to end the next, for ever. */
static bool tells_something(unsigned kind)
{
    return kind != PV_K_WITNESS_COUNTERS && kind != PV_K_EPOCH_END && kind != PV_K_KEY_DISCLOSED;
}

int auditor_emit(struct auditor *a, struct pv_event *e, struct pv_err *err)
{
    struct producer *self = a->self;
    uint8_t tag[PV_TAG_BYTES];
    e->domain = self->id;
    e->epoch = self->chain.now.epoch;
    e->dseq = self->next_dseq;
    pv_buf_reset(&a->scratch);
    PV_TRY(pv_event_encode(e, &a->scratch, err));
    if (!pv_log_has_room(a->log))
        PV_TRY(auditor_write(a, err));
    /* The chain moves on only when the event is in: a refused append changes nothing. */
    struct chain next = self->chain;
    chain_take(&next, a->scratch.data, a->scratch.len, e->kind == PV_K_EPOCH_END, tag);
    int rc = pv_log_append(a->log, a->scratch.data, a->scratch.len, tag, err);
    if (rc == 0) {
        self->chain = next;
        self->next_dseq++;
        self->touched = true;
        a->epoch_tells |= tells_something(e->kind);
        auditor_note_unsigned(a, e->kind);
    }
    chain_done(&next);
    return rc;
}

int auditor_emit_open(struct auditor *a, const char *name, const uint8_t measurement[PV_HASH_BYTES],
                      const char *witness, struct pv_err *err)
{
    uint8_t commitment[PV_HASH_BYTES], root[PV_HASH_BYTES];
    struct pv_event e;
    uint64_t size = pv_log_size(a->log);
    pv_log_root(a->log, root);
    pv_ratchet_commitment(&a->self->chain.now, commitment);
    pv_event_init(&e, PV_K_DOMAIN_OPEN, NULL);
    pv_event_text(&e, name);
    pv_event_bytes(&e, commitment, sizeof commitment);
    pv_event_u64(&e, (uint64_t)getpid());
    pv_event_bytes(&e, measurement, PV_HASH_BYTES);
    PV_TRY(auditor_emit(a, &e, err));
    pv_event_init(&e, PV_K_LOG_OPEN, NULL);
    pv_event_u64(&e, size);
    pv_event_bytes(&e, root, sizeof root);
    pv_event_text(&e, witness);
    return auditor_emit(a, &e, err);
}

int auditor_emit_recovery(struct auditor *a, struct pv_err *err)
{
    struct pv_event e;
    pv_event_init(&e, PV_K_RECOVERY, NULL);
    pv_event_u64(&e, a->found.size);
    pv_event_u64(&e, a->found.checkpointed_size);
    pv_event_u64(&e, a->orphan_rings);
    pv_event_u64(&e, a->orphan_events);
    pv_event_u64(&e, a->found.discarded_bytes);
    return auditor_emit(a, &e, err);
}

int auditor_emit_close(struct auditor *a, const struct pv_domain_id *closed, const char *reason,
                       struct pv_err *err)
{
    struct pv_event e;
    pv_event_init(&e, PV_K_DOMAIN_CLOSE, NULL);
    pv_event_bytes(&e, closed->bytes, sizeof closed->bytes);
    pv_event_text(&e, reason);
    return auditor_emit(a, &e, err);
}

int auditor_emit_unrecorded(struct auditor *a, const struct producer *p, uint64_t count,
                            struct pv_err *err)
{
    char witness[16 + 2 * PV_DOMAIN_ID_BYTES], hex[2 * PV_DOMAIN_ID_BYTES + 1];
    struct pv_event e;
    pv_hex(p->id.bytes, sizeof p->id.bytes, hex);
    snprintf(witness, sizeof witness, PRODUCER_GAP_WITNESS "%s", hex);
    pv_event_init(&e, PV_K_GAP, NULL);
    pv_event_text(&e, witness);
    pv_event_u64(&e, 0);
    pv_event_u64(&e, p->next_dseq);
    pv_event_u64(&e, count < UINT32_MAX ? count : UINT32_MAX); /* the producer's word */
    return auditor_emit(a, &e, err);
}

int auditor_emit_fault(struct auditor *a, const struct producer *faulty, const char *what,
                       struct pv_err *err)
{
    struct pv_event e;
    pv_event_init(&e, PV_K_PRODUCER_FAULT, NULL);
    pv_event_bytes(&e, faulty->id.bytes, sizeof faulty->id.bytes);
    pv_event_u64(&e, faulty->next_dseq);
    pv_event_text(&e, what);
    return auditor_emit(a, &e, err);
}
