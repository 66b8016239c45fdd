#include "bundle_text.h"

#include "pv/rotations.h"

#include "pv/own.h"

#include <inttypes.h>
#include <search.h>
#include <stdio.h>
#include <string.h>

enum { EPOCH_STEPS_MAX = 1 << 20 };

/* What the bundle says of one epoch of one domain. */
struct epoch {
    uint8_t domain[PV_DOMAIN_ID_BYTES];
    uint32_t number;
    bool committed, keyed;
    uint64_t first; /* dseq of its first event, when committed */
    uint8_t commitment[PV_HASH_BYTES];
    uint8_t key[PV_KEY_BYTES];
    struct pv_ratchet chain;
};
struct checker {
    const struct pv_note_key *key;
    struct pv_bundle_text text;
    void *epochs;                   /* tsearch tree, owns struct epoch */
    bool seen[PV_BUNDLE_CALLS_MAX]; /* by call: one of its events was there */
    pv_bundle_tell tell;
    void *ctx;
    struct pv_bundle_result res;
};

static int by_epoch(const void *a, const void *b)
{
    const struct epoch *x = a, *y = b;
    int order = memcmp(x->domain, y->domain, sizeof x->domain);
    return order ? order : (x->number > y->number) - (x->number < y->number);
}

static struct epoch *find_epoch(struct checker *c, const uint8_t *domain, uint32_t number,
                                bool create)
{
    struct epoch probe;
    memset(&probe, 0, sizeof probe);
    memcpy(probe.domain, domain, sizeof probe.domain);
    probe.number = number;
    struct epoch **found = tfind(&probe, &c->epochs, by_epoch);
    if (found || !create)
        return found ? *found : NULL;
    struct epoch *fresh = malloc(sizeof *fresh);
    if (!fresh)
        return NULL;
    *fresh = probe;
    if (tsearch(fresh, &c->epochs, by_epoch))
        return fresh;
    free(fresh);
    return NULL;
}

static int refuse(struct checker *c, uint64_t seq, const char *why, struct pv_err *err)
{
    c->res.has_seq = true;
    c->res.bad_seq = seq;
    return pv_refuse(err, EBADMSG, "e%" PRIu64 ": %s", seq, why);
}

static int commit(struct checker *c, const struct pv_event *e, uint32_t epoch, uint64_t first,
                  const char *field, struct pv_err *err)
{
    const struct pv_value *v = pv_event_field(e, field);
    struct epoch *of = find_epoch(c, e->domain.bytes, epoch, true);
    if (!of)
        return pv_fail(err, ENOMEM, "check a bundle");
    if (!v || v->len != PV_HASH_BYTES || of->committed)
        return 0;
    memcpy(of->commitment, v->bytes, sizeof of->commitment);
    of->committed = true;
    of->first = first;
    return 0;
}

static int disclose(struct checker *c, const struct pv_event *e, struct pv_err *err)
{
    const struct pv_value *domain = pv_event_field(e, "disclosed_domain");
    const struct pv_value *key = pv_event_field(e, "key");
    uint64_t number = pv_event_get_u64(e, "disclosed_epoch");
    if (!domain || domain->len != PV_DOMAIN_ID_BYTES || !key || key->len != PV_KEY_BYTES ||
        number > UINT32_MAX)
        return 0;
    struct epoch *of = find_epoch(c, domain->bytes, (uint32_t)number, true);
    if (!of)
        return pv_fail(err, ENOMEM, "check a bundle");
    if (!of->keyed)
        memcpy(of->key, key->bytes, sizeof of->key);
    of->keyed = true;
    return 0;
}

/* What an entry tells about epochs. */
static int learn(struct checker *c, const struct pv_event *e, struct pv_err *err)
{
    if (e->kind == PV_K_DOMAIN_OPEN && e->dseq == 0)
        return commit(c, e, 0, 0, "commitment", err);
    if (e->kind == PV_K_EPOCH_END && e->epoch < UINT32_MAX)
        return commit(c, e, e->epoch + 1, e->dseq + 1, "next_commitment", err);
    return e->kind == PV_K_KEY_DISCLOSED ? disclose(c, e, err) : 0;
}

/* 1 = the tag is right, 0 = its key is not known. */
static int check_tag(struct checker *c, const struct pv_bundle_line *l, const struct pv_event *e,
                     struct pv_err *err)
{
    uint8_t hash[PV_HASH_BYTES], tag[PV_TAG_BYTES];
    const uint8_t *event = l->entry;
    size_t len = l->len - PV_TAG_BYTES;
    struct epoch *of = find_epoch(c, e->domain.bytes, e->epoch, false);
    if (!of || !of->keyed)
        return 0;
    if (!of->committed)
        return refuse(c, l->seq, "the bundle lacks the commitment to its key", err);
    if (of->chain.index == 0 || e->dseq < of->chain.index) {
        pv_ratchet_of_epoch(&of->chain, of->number, of->first, of->key);
        pv_ratchet_commitment(&of->chain, hash);
        if (memcmp(hash, of->commitment, sizeof hash) != 0)
            return refuse(c, l->seq, "the key disclosed is not the one that was committed to", err);
    }
    if (e->dseq < of->first || e->dseq - of->chain.index > EPOCH_STEPS_MAX)
        return refuse(c, l->seq, "its number cannot be in its epoch", err);
    while (of->chain.index < e->dseq)
        pv_ratchet_tag(&of->chain, "", 0, tag);
    pv_ratchet_tag(&of->chain, event, len, tag);
    if (memcmp(tag, event + len, sizeof tag) != 0)
        return refuse(c, l->seq, "its tag is not the one that the disclosed key gives", err);
    return 1;
}

static bool is_supporting(const struct pv_event *e)
{
    return pv_call_id_is_none(&e->invocation) &&
           (e->kind == PV_K_DOMAIN_OPEN || e->kind == PV_K_EPOCH_END ||
            e->kind == PV_K_KEY_DISCLOSED || e->kind == PV_K_DEPLOYMENT);
}

static int decode(struct checker *c, const struct pv_bundle_line *l, struct pv_event *ret,
                  struct pv_err *err)
{
    struct pv_err why = PV_ERR_INIT;
    if (l->len <= PV_TAG_BYTES)
        return refuse(c, l->seq, "it is too short", err);
    if (pv_event_decode(l->entry, l->len - PV_TAG_BYTES, ret, &why) < 0)
        return refuse(c, l->seq, why.text, err);
    return 0;
}

/* First pass: every entry stands where the checkpoint says, and tells what it knows of keys. */
static int first_pass(struct checker *c, struct pv_bundle_line *l, struct pv_err *err)
{
    struct pv_bundle_text t = c->text;
    uint64_t next = 0;
    int rc;
    while ((rc = pv_bundle_text_next(&t, l, err)) > 0) {
        uint8_t leaf[PV_HASH_BYTES];
        struct pv_event e;
        if (l->seq < next)
            return refuse(c, l->seq, "the bundle is out of order", err);
        next = l->seq + 1;
        pv_leaf_hash(l->entry, l->len, leaf);
        if (!pv_proof_includes(&l->path, l->seq, c->res.checkpoint.size, leaf,
                               c->res.checkpoint.root))
            return refuse(c, l->seq, "it is not the entry that the checkpoint signs", err);
        PV_TRY(decode(c, l, &e, err));
        PV_TRY(learn(c, &e, err));
        if (++c->res.items > PV_BUNDLE_ENTRIES_MAX)
            return refuse(c, l->seq, "the bundle is too large", err);
    }
    return rc;
}

static void see_call(struct checker *c, const struct pv_event *e)
{
    for (size_t i = 0; i < c->text.n_calls; i++)
        c->seen[i] |= pv_call_id_equal(&c->text.calls[i], &e->invocation);
}

/* The names at the top are nobody's word: what they name must be there. */
static int check_calls(const struct checker *c, struct pv_err *err)
{
    for (size_t i = 0; i < c->text.n_calls; i++) {
        char id[PV_CALL_ID_CHARS + 1];
        pv_call_id_print(&c->text.calls[i], id);
        if (!c->seen[i])
            return pv_refuse(err, EBADMSG, "the bundle holds no event of the call %s", id);
    }
    return c->res.events ? 0 : pv_refuse(err, EBADMSG, "the bundle holds no event");
}

static int second_pass(struct checker *c, struct pv_bundle_line *l, struct pv_err *err)
{
    struct pv_bundle_text t = c->text;
    int rc;
    while ((rc = pv_bundle_text_next(&t, l, err)) > 0) {
        struct pv_bundle_item item = {.seq = l->seq, .entry = l->entry, .len = l->len};
        PV_TRY(decode(c, l, &item.event, err));
        int tag = check_tag(c, l, &item.event, err);
        PV_TRY(tag);
        item.rechecked = tag > 0;
        item.supporting = is_supporting(&item.event);
        see_call(c, &item.event);
        c->res.rechecked += item.rechecked;
        c->res.events += !item.supporting;
        c->res.waiting += !item.supporting && !item.rechecked;
        c->res.deployments += item.event.kind == PV_K_DEPLOYMENT;
        rc = c->tell ? c->tell(c->ctx, &item) : 0;
        PV_TRY(rc);
    }
    return rc;
}

static int run(struct checker *c, struct pv_err *err)
{
    pv_autofree struct pv_bundle_line *l = malloc(sizeof *l);
    if (!l)
        return pv_fail(err, ENOMEM, "check a bundle");
    PV_TRY(first_pass(c, l, err));
    PV_TRY(second_pass(c, l, err));
    return check_calls(c, err);
}

int pv_bundle_check(const struct pv_note_key *key, const void *text, size_t len,
                    pv_bundle_tell tell, void *ctx, struct pv_bundle_result *ret,
                    struct pv_err *err)
{
    struct checker c;
    memset(&c, 0, sizeof c);
    c.key = key;
    c.tell = tell;
    c.ctx = ctx;
    *ret = c.res;
    PV_TRY(pv_crypto_init(err));
    PV_TRY(pv_bundle_text_open(&c.text, text, len, err));
    struct pv_note_key known = *key;
    PV_TRY(pv_rotations_follow(&known, c.text.rotations, c.text.rotations_len, err));
    int rc = pv_checkpoint_open(&known, c.text.note, c.text.note_len, &c.res.checkpoint, err);
    if (rc < 0)
        return pv_wrap(err, rc, "the bundle's checkpoint");
    c.res.note = c.text.note;
    c.res.note_len = c.text.note_len;
    rc = run(&c, err);
    tdestroy(c.epochs, free);
    *ret = c.res;
    return rc;
}
