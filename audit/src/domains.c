#include "domains.h"

#include "pv/ratchet.h"

#include <search.h>
#include <stdlib.h>
#include <string.h>

/* A balanced tree (tsearch), because domain ids in a forged log are the forger's choice. */
struct domain {
    struct pv_domain_id id;
    uint64_t next_dseq;
    uint32_t epoch;
    bool closed;
    bool met;                          /* it had an event */
    bool fresh;                        /* the next event is its epoch's first */
    bool keyed;                        /* the epoch's key is disclosed: chain follows it */
    uint8_t commitment[PV_HASH_BYTES]; /* to the first key of the epoch */
    struct pv_ratchet chain;
    uint64_t last_seq;  /* of its last event */
    uint64_t ended_seq; /* of the last event of the epoch before */
};
struct pv_domains {
    const struct pv_disclosed *disclosed; /* borrowed */
    void *tree;                           /* owns its nodes' struct domain */
    uint64_t n, n_closed, rechecked;
    bool from_middle;
    struct domain *last; /* borrowed: runs of events of one domain are common */
};

struct pv_domains *pv_domains_new(const struct pv_disclosed *disclosed, bool from_middle)
{
    struct pv_domains *d = calloc(1, sizeof *d);
    if (d)
        *d = (struct pv_domains){.disclosed = disclosed, .from_middle = from_middle};
    return d;
}

void pv_domains_free(struct pv_domains *d)
{
    if (!d)
        return;
    tdestroy(d->tree, free);
    free(d);
}

static int by_id(const void *a, const void *b)
{
    const struct domain *x = a, *y = b;
    return memcmp(&x->id, &y->id, sizeof x->id);
}

static struct domain *lookup(struct pv_domains *d, const uint8_t id[PV_DOMAIN_ID_BYTES],
                             bool create)
{
    struct domain probe = {.fresh = true};
    memcpy(probe.id.bytes, id, PV_DOMAIN_ID_BYTES);
    if (d->last && by_id(d->last, &probe) == 0)
        return d->last;
    struct domain **found = tfind(&probe, &d->tree, by_id);
    if (found || !create)
        return found ? (d->last = *found) : NULL;
    struct domain *fresh = malloc(sizeof *fresh);
    if (!fresh)
        return NULL;
    *fresh = probe;
    if (!tsearch(fresh, &d->tree, by_id)) {
        free(fresh);
        return NULL;
    }
    d->n++;
    return d->last = fresh;
}

static void note_close(struct pv_domains *d, const struct pv_event *e)
{
    const struct pv_value *id = pv_event_field(e, "closed_domain");
    struct domain *closed =
        id && id->len == PV_DOMAIN_ID_BYTES ? lookup(d, id->bytes, false) : NULL;
    if (closed && !closed->closed) {
        closed->closed = true;
        d->n_closed++;
    }
}

static const struct pv_value *commitment_in(const struct pv_event *e)
{
    const struct pv_value *c = e->kind == PV_K_DOMAIN_OPEN ? pv_event_field(e, "commitment")
                               : e->kind == PV_K_EPOCH_END ? pv_event_field(e, "next_commitment")
                                                           : NULL;
    return c && c->len == PV_HASH_BYTES ? c : NULL;
}

static enum pv_domain_fault check_number(struct domain *of, const struct pv_event *e,
                                         uint64_t expected)
{
    if (of->closed)
        return PV_DOMAIN_CLOSED;
    if (e->dseq > expected)
        return PV_DOMAIN_GAP;
    if (e->dseq < expected)
        return PV_DOMAIN_REPEATED;
    if ((e->kind == PV_K_DOMAIN_OPEN && commitment_in(e)) != (expected == 0))
        return PV_DOMAIN_UNOPENED;
    return e->epoch == of->epoch ? PV_DOMAIN_FINE : PV_DOMAIN_WRONG_EPOCH;
}

/* At an epoch's first event: whether its key is known, and the one that was promised. */
static enum pv_domain_fault begin_epoch(const struct pv_domains *d, struct domain *of,
                                        const struct pv_event *e)
{
    uint8_t hash[PV_HASH_BYTES];
    const struct pv_disclosed_key *k = pv_disclosed_find(d->disclosed, &of->id, of->epoch);
    const struct pv_value *opens = e->kind == PV_K_DOMAIN_OPEN ? commitment_in(e) : NULL;
    if (opens)
        memcpy(of->commitment, opens->bytes, sizeof of->commitment);
    of->fresh = false;
    of->keyed = k != NULL;
    if (!k)
        return PV_DOMAIN_FINE;
    pv_ratchet_of_epoch(&of->chain, of->epoch, e->dseq, k->key);
    pv_ratchet_commitment(&of->chain, hash);
    if (memcmp(hash, of->commitment, sizeof hash) == 0)
        return PV_DOMAIN_FINE;
    of->keyed = false;
    return PV_DOMAIN_WRONG_KEY;
}

static enum pv_domain_fault find_key(struct pv_domains *d, struct domain *of,
                                     const struct pv_event *e, bool *ret_keyed,
                                     uint8_t ret_key[PV_KEY_BYTES])
{
    enum pv_domain_fault fault = of->fresh ? begin_epoch(d, of, e) : PV_DOMAIN_FINE;
    if (fault != PV_DOMAIN_FINE || !of->keyed)
        return fault;
    pv_ratchet_step(&of->chain, ret_key);
    d->rechecked++;
    *ret_keyed = true;
    return PV_DOMAIN_FINE;
}

static void end_epoch(struct domain *of, const struct pv_log_entry *entry, const struct pv_event *e)
{
    const struct pv_value *next = commitment_in(e);
    memset(of->commitment, 0, sizeof of->commitment);
    if (next)
        memcpy(of->commitment, next->bytes, sizeof of->commitment);
    of->epoch++;
    of->fresh = true;
    of->ended_seq = entry->seq;
}

/* A key is harmless only when nothing that it could forge is still open. */
static enum pv_domain_fault check_disclosure(struct pv_domains *d, const struct pv_event *e,
                                             uint64_t signed_size)
{
    const struct pv_value *id = pv_event_field(e, "disclosed_domain");
    uint64_t epoch = pv_event_get_u64(e, "disclosed_epoch");
    struct domain *of = id && id->len == PV_DOMAIN_ID_BYTES ? lookup(d, id->bytes, false) : NULL;
    if (d->from_middle && (!of || epoch < of->epoch))
        return PV_DOMAIN_FINE;
    if (!of || epoch > of->epoch || (epoch == of->epoch && !of->closed))
        return PV_DOMAIN_TOO_SOON;
    uint64_t last = epoch == of->epoch ? of->last_seq : epoch + 1 == of->epoch ? of->ended_seq : 0;
    return last < signed_size ? PV_DOMAIN_FINE : PV_DOMAIN_TOO_SOON;
}

/* Its beginning lies before what is read: its number and epoch are what they are, and the tags of
 * this epoch are not for this reader to check. */
static void meet(struct domain *of, const struct pv_event *e)
{
    of->next_dseq = e->dseq;
    of->epoch = e->epoch;
    of->fresh = false;
}

enum pv_domain_fault pv_domains_take(struct pv_domains *d, const struct pv_log_entry *entry,
                                     const struct pv_event *e, uint64_t signed_size,
                                     uint64_t *ret_expected, bool *ret_keyed,
                                     uint8_t ret_key[PV_KEY_BYTES])
{
    *ret_keyed = false;
    struct domain *of = lookup(d, e->domain.bytes, true);
    if (!of)
        return PV_DOMAIN_NO_MEMORY;
    if (!of->met && d->from_middle && e->dseq > 0)
        meet(of, e);
    of->met = true;
    *ret_expected = of->next_dseq;
    enum pv_domain_fault fault = check_number(of, e, of->next_dseq);
    /* After a fault the count goes on from here, so that one hole is named once. */
    of->next_dseq = e->dseq + 1;
    of->last_seq = entry->seq;
    if (fault == PV_DOMAIN_FINE)
        fault = find_key(d, of, e, ret_keyed, ret_key);
    if (e->kind == PV_K_EPOCH_END)
        end_epoch(of, entry, e);
    if (e->kind == PV_K_DOMAIN_CLOSE)
        note_close(d, e);
    if (fault == PV_DOMAIN_FINE && e->kind == PV_K_KEY_DISCLOSED)
        fault = check_disclosure(d, e, signed_size);
    return fault;
}

void pv_domains_lose_track(struct pv_domains *d)
{
    tdestroy(d->tree, free);
    d->tree = NULL;
    d->last = NULL;
    d->n = d->n_closed = 0;
    d->from_middle = true;
}

void pv_domains_count(const struct pv_domains *d, uint64_t *ret_all, uint64_t *ret_open)
{
    *ret_all = d->n;
    *ret_open = d->n - d->n_closed;
}

uint64_t pv_domains_rechecked(const struct pv_domains *d)
{
    return d->rechecked;
}
