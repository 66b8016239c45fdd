/* What the auditor learns from its log when it starts: how far each domain came, and whether what
 * no checkpoint covers yet carries the right tags. Whoever edits the log while the auditor is down
 * does not have the keys; without this check the auditor would sign his work. */
#include "auditor.h"

#include <string.h>

int auditor_load_ratchets(struct auditor *a, struct pv_err *err)
{
    for (unsigned i = 0; i < RATCHET_SLOTS; i++) {
        struct pv_domain_id id;
        struct chain state;
        if (!ratchets_get(a->ratchets, i, &id, &state))
            continue;
        struct producer *p = producers_get(&a->producers, &id);
        if (!p)
            return pv_fail(err, ENOMEM, "remember a domain");
        p->slot = (int)i;
        p->chain = state;
        p->proven_dseq = state.now.index;
        p->ended_signed = true; /* states are those of checkpoints */
        p->last_signed = state.now.index > 0;
        chain_done(&state);
    }
    return 0;
}

/* Steps the domain's chain over the entry; false when its tag is not the right one. */
static bool step(struct producer *p, const struct pv_log_entry *entry, const struct pv_event *event)
{
    uint8_t tag[PV_TAG_BYTES];
    bool ends = event->kind == PV_K_EPOCH_END;
    chain_take(&p->chain, entry->event, entry->event_len, ends, tag);
    if (ends)
        p->ended_signed = p->last_signed;
    return memcmp(tag, entry->tag, sizeof tag) == 0;
}

/* The log is not looked at from its beginning. Where the older state lies before that, so does the
 * checkpoint of the newer one: the journal holds far more than what one checkpoint adds, so what is
 * before it is signed and durable, and the newer state is the right one to begin with. */
static void take_newer(struct auditor *a, struct producer *p)
{
    struct chain newer;
    if (ratchets_get_newer(a->ratchets, (unsigned)p->slot, &newer))
        p->chain = newer;
    chain_done(&newer);
}

/* A domain whose first event here lies past the last checkpoint goes on from its state: all before
 * is signed, and so is not looked at. */
static void meet(struct auditor *a, struct producer *p, uint64_t dseq, bool is_signed)
{
    if (p->met)
        return;
    p->met = true;
    if (p->slot == PRODUCER_NO_SLOT)
        return;
    if (dseq > p->chain.now.index)
        take_newer(a, p);
    if (!is_signed)
        p->next_dseq = p->chain.now.index;
}

void auditor_settle_unmet(struct auditor *a)
{
    for (struct producer *p = a->producers.head; p; p = p->hh.next) {
        if (p->met || p->slot == PRODUCER_NO_SLOT || a->found.scanned_from == 0)
            continue;
        take_newer(a, p);
        p->next_dseq = p->chain.now.index;
    }
}

static struct producer *disclosed_domain(struct auditor *a, const struct pv_event *event)
{
    const struct pv_value *v = pv_event_field(event, "disclosed_domain");
    struct pv_domain_id id;
    if (event->kind != PV_K_KEY_DISCLOSED || !v || v->len != sizeof id.bytes)
        return NULL;
    memcpy(id.bytes, v->bytes, sizeof id.bytes);
    return producers_find(&a->producers, &id);
}

/* A power failure may take the checkpoint that allowed a disclosure and leave the disclosure: then
 * the epoch is not signed any more by anything, and its key must not be known. */
static bool disclosed_too_soon(const struct producer *p, const struct pv_event *event)
{
    bool ended =
        p->chain.ended.count && p->chain.ended.epoch == pv_event_get_u64(event, "disclosed_epoch");
    return ended ? !p->ended_signed : !p->last_signed;
}

static void note_disclosure(struct auditor *a, const struct pv_event *event)
{
    struct producer *p = disclosed_domain(a, event);
    uint64_t epoch = pv_event_get_u64(event, "disclosed_epoch");
    if (!p)
        return;
    chain_forget(&p->chain, (uint32_t)epoch);
    if (p->closed && p->slot != PRODUCER_NO_SLOT && epoch == p->chain.now.epoch)
        p->disclosed = true;
}

static void note_close(struct auditor *a, const struct pv_event *event)
{
    const struct pv_value *v = pv_event_field(event, "closed_domain");
    struct pv_domain_id id;
    if (!v || v->len != sizeof id.bytes)
        return;
    memcpy(id.bytes, v->bytes, sizeof id.bytes);
    struct producer *closed = producers_find(&a->producers, &id);
    if (!closed)
        return;
    closed->closed = true;
    /* Without a slot it was seen off completely: only the living are kept in memory, and those that
     * could be seen off once more and leave another gap. */
    if (closed->slot == PRODUCER_NO_SLOT && !closed->unrecorded_said)
        producers_remove(&a->producers, closed);
}

/* What an ended producer left unrecorded was said. */
static int note_gap(struct auditor *a, const struct pv_event *event, struct pv_err *err)
{
    static const char inside[] = PRODUCER_GAP_WITNESS;
    char witness[sizeof inside + 2 * PV_DOMAIN_ID_BYTES];
    struct pv_domain_id id;
    pv_event_get_text(event, "witness", witness, sizeof witness);
    if (strncmp(witness, inside, sizeof inside - 1) != 0 ||
        !pv_unhex(witness + sizeof inside - 1, id.bytes, sizeof id.bytes))
        return 0;
    struct producer *p = producers_get(&a->producers, &id);
    if (!p)
        return pv_fail(err, ENOMEM, "remember a domain");
    p->unrecorded_said = true;
    return 0;
}

/* What no checkpoint covers is kept only with the right tag at the right number. */
static bool follows(struct producer *p, const struct pv_log_entry *entry,
                    const struct pv_event *event)
{
    /* A slot is made before a domain's first event and erased only when its end is signed. */
    if (!p || p->slot == PRODUCER_NO_SLOT || event->dseq != p->next_dseq ||
        event->dseq != p->chain.now.index || event->epoch != p->chain.now.epoch)
        return false;
    struct chain before = p->chain;
    bool was_signed = p->last_signed, ended_signed = p->ended_signed;
    p->last_signed = false;
    bool right = step(p, entry, event);
    if (!right) {
        /* as it was at the last good entry: the rings go on from there */
        p->chain = before;
        p->last_signed = was_signed;
        p->ended_signed = ended_signed;
    }
    chain_done(&before);
    return right;
}

/* A slot's older state is that of a checkpoint that was durable before the newer one was signed. A
 * log without that checkpoint has lost what was signed, not what a crash can take. */
static int check_proven(const struct auditor *a, const struct producer *p, struct pv_err *err)
{
    if (p->next_dseq >= p->proven_dseq || (!p->met && !a->from_first))
        return 0;
    return pv_refuse(err, EBADMSG,
                     "%ju events of one producer were signed (keys/ratchets), but the checkpoints "
                     "in log/ cover %ju of them: it was cut, or is older than keys/. The log is "
                     "left as it is: put the whole one back, or keep it as evidence and begin "
                     "another (docs/operations.md)",
                     (uintmax_t)p->proven_dseq, (uintmax_t)p->next_dseq);
}

int auditor_check_proven(struct auditor *a, struct pv_err *err)
{
    if (a->proven)
        return 0;
    a->proven = true;
    for (const struct producer *p = a->producers.head; p; p = p->hh.next)
        PV_TRY(check_proven(a, p, err));
    return 0;
}

int auditor_scan_entry(void *ctx, const struct pv_log_entry *entry, const struct pv_event *event,
                       bool is_signed, struct pv_err *err)
{
    struct auditor *a = ctx;
    a->from_first |= entry->seq == 0;
    if (!is_signed) /* what follows may be cut, so what is signed must be there */
        PV_TRY(auditor_check_proven(a, err));
    struct producer *p = producers_find(&a->producers, &event->domain);
    if (p)
        meet(a, p, event->dseq, is_signed);
    if (!is_signed) {
        const struct producer *disclosed = disclosed_domain(a, event);
        if (disclosed && disclosed_too_soon(disclosed, event))
            return 1;
        if (!follows(p, entry, event))
            return 1;
    } else {
        if (!p)
            p = producers_get(&a->producers, &event->domain);
        if (!p)
            return pv_fail(err, ENOMEM, "remember a domain");
        p->last_signed = true;
        if (p->slot != PRODUCER_NO_SLOT && event->dseq == p->chain.now.index)
            (void)step(p, entry, event);
    }
    p->next_dseq = event->dseq + 1;
    if (event->kind == PV_K_DOMAIN_CLOSE)
        note_close(a, event);
    if (event->kind == PV_K_GAP)
        PV_TRY(note_gap(a, event, err));
    note_disclosure(a, event);
    return 0;
}
