#include "suspect.h"

#include "pv/leaf_cache.h"

#include "pv/log_reader.h"
#include "pv/own.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

PV_DEFINE_CLEANUP(struct pv_leaf_cache, pv_leaf_cache_free)
enum { STRETCH_MAX = 1 << 20 }; /* entries between two checkpoints that are looked at in memory */

/* Leaf hashes of one stretch: as the entries give them now, and as they were cached. */
struct stretch {
    uint64_t from;
    size_t n_now, n_cached;
    bool damaged;                     /* the entries end in one whose framing is broken */
    uint8_t (*now)[PV_HASH_BYTES];    /* owned */
    uint8_t (*cached)[PV_HASH_BYTES]; /* owned */
};

static void stretch_done(struct stretch *s)
{
    free(s->now);
    free(s->cached);
}

static int read_cached(int dir_fd, struct stretch *s, size_t n, struct pv_err *err)
{
    PV_CLEANUP(pv_leaf_cache_free) struct pv_leaf_cache *c = NULL;
    PV_TRY(pv_leaf_cache_open(&c, dir_fd, err));
    for (; s->n_cached < n; s->n_cached++) {
        const uint8_t *leaf = pv_leaf_cache_get(c, s->from + s->n_cached);
        if (!leaf)
            break;
        memcpy(s->cached[s->n_cached], leaf, PV_HASH_BYTES);
    }
    return 0;
}

static int read_now(int dir_fd, struct stretch *s, size_t n, struct pv_err *err)
{
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    PV_TRY(pv_log_reader_open(&r, dir_fd, s->from, err));
    while (s->n_now < n) {
        struct pv_log_entry entry;
        int rc = pv_log_reader_next(r, &entry, err);
        s->damaged = rc == -EBADMSG;
        if (rc == 0 || s->damaged)
            return 0;
        PV_TRY(rc);
        pv_leaf_hash(entry.bytes, entry.len, s->now[s->n_now++]);
    }
    return 0;
}

static bool cache_is_right(const struct pv_suspect *s, const struct stretch *t)
{
    struct pv_frontier f = *s->before;
    uint8_t root[PV_HASH_BYTES];
    if (t->from + t->n_cached != s->size)
        return false;
    for (size_t i = 0; i < t->n_cached; i++)
        pv_frontier_add(&f, t->cached[i]);
    pv_frontier_root(&f, root);
    return memcmp(root, s->root, sizeof root) == 0;
}

static bool among(const uint8_t (*leaves)[PV_HASH_BYTES], size_t from, size_t n,
                  const uint8_t leaf[PV_HASH_BYTES])
{
    for (size_t i = from; i < n; i++)
        if (memcmp(leaves[i], leaf, PV_HASH_BYTES) == 0)
            return true;
    return false;
}

static void set(struct pv_verify_result *ret, enum pv_verdict v, uint64_t seq, const char *what)
{
    ret->verdict = v;
    ret->has_seq = true;
    ret->first_bad_seq = seq;
    snprintf(ret->text, sizeof ret->text, "entry %" PRIu64 " %s", seq, what);
}

/* Every entry of the stretch is the one that was signed, though not so when it was read before: no
 * tampering that could be named. */
static int refuse_changing(const struct stretch *t, struct pv_err *err)
{
    return pv_refuse(err, EAGAIN,
                     "the entries from e%" PRIu64 " to e%" PRIu64
                     " changed while they were read, and are now as they were signed: verify again",
                     t->from, t->from + t->n_cached - 1);
}

/* The cached hashes are the signed ones. */
static int compare(const struct stretch *t, struct pv_verify_result *ret, struct pv_err *err)
{
    size_t i = 0;
    while (i < t->n_now && i < t->n_cached && memcmp(t->now[i], t->cached[i], PV_HASH_BYTES) == 0)
        i++;
    uint64_t seq = t->from + i;
    if (i == t->n_cached)
        return refuse_changing(t, err);
    if (i == t->n_now && t->damaged) {
        set(ret, PV_VERDICT_EDITED, seq, "was edited: its length cannot be");
        return 0;
    }
    if (i == t->n_now) {
        set(ret, PV_VERDICT_TRUNCATED, seq, "and what follows it under a checkpoint are missing");
        return 0;
    }
    const uint8_t(*now)[PV_HASH_BYTES] = (const uint8_t(*)[PV_HASH_BYTES])t->now;
    const uint8_t(*cached)[PV_HASH_BYTES] = (const uint8_t(*)[PV_HASH_BYTES])t->cached;
    bool later = among(cached, i + 1, t->n_cached, now[i]);
    bool moved = among(now, i + 1, t->n_now, cached[i]);
    if (later && moved)
        set(ret, PV_VERDICT_REORDERED, seq, "stands before its turn: entries were reordered");
    else if (later)
        set(ret, PV_VERDICT_DELETED, seq, "was deleted");
    else if (moved)
        set(ret, PV_VERDICT_INSERTED, seq, "was inserted; it was never signed");
    else
        set(ret, PV_VERDICT_EDITED, seq, "was edited: it is not the one that was signed");
    return 0;
}

int pv_suspect_name(int dir_fd, const struct pv_suspect *s, struct pv_verify_result *ret,
                    struct pv_err *err)
{
    __attribute__((cleanup(stretch_done))) struct stretch t = {.from = s->before->size};
    uint64_t n = s->size - t.from;
    if (n > 0 && n <= STRETCH_MAX) {
        t.now = calloc(n + 1, PV_HASH_BYTES);
        t.cached = calloc(n + 1, PV_HASH_BYTES);
        if (!t.now || !t.cached)
            return pv_fail(err, ENOMEM, "allocate %ju leaf hashes", (uintmax_t)n);
        PV_TRY(read_cached(dir_fd, &t, n, err));
        PV_TRY(read_now(dir_fd, &t, n + 1, err));
        if (cache_is_right(s, &t))
            return compare(&t, ret, err);
    }
    ret->has_seq = true;
    ret->first_bad_seq = t.from;
    if (t.now && t.n_now < n) {
        ret->verdict = PV_VERDICT_TRUNCATED;
        snprintf(ret->text, sizeof ret->text,
                 "the log ends at entry %" PRIu64 ", but a checkpoint signs %" PRIu64
                 ": entries between %" PRIu64 " and there are missing or damaged",
                 t.from + t.n_now, s->size, t.from);
        return 0;
    }
    ret->verdict = PV_VERDICT_EDITED;
    snprintf(ret->text, sizeof ret->text,
             "an entry between %" PRIu64 " and %" PRIu64
             " is not the one that was signed (the cached leaf hashes do not tell which)",
             t.from, s->size - 1);
    return 0;
}
