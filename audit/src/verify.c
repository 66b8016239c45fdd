#include "pv/verify.h"

#include "domains.h"
#include "entry_stream.h"
#include "log_files.h"
#include "pv/leaf_cache.h"
#include "rotations.h"
#include "suspect.h"
#include "tile_check.h"

#include "pv/archive.h"
#include "pv/io.h"
#include "pv/log_reader.h"
#include "pv/own.h"
#include "pv/proof.h"
#include "pv/tile.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum {
    UNSIGNED_MAX = 8 * PV_LOG_BATCH_MAX, /* a batch, and what the auditor adds of its own */
    PROGRESS_EVERY = 16384,
    JOBS_MAX = 32,
};

struct verifier {
    int dir_fd; /* borrowed */
    const struct pv_verify_options *opt;
    struct pv_verify_result *res;
    struct pv_log_reader *entries;            /* owned */
    struct pv_entry_stream *stream;           /* owned; reads them */
    struct pv_checkpoint_reader *checkpoints; /* owned */
    struct pv_disclosed *disclosed;           /* owned */
    struct pv_domains *domains;               /* owned */
    struct pv_tile_check *tiles;              /* owned */
    struct pv_frontier tree;
    uint8_t tile_root[PV_HASH_BYTES]; /* of its last 256 entries, where they fill a tile */
    struct pv_frontier good;          /* at the last checkpoint that matched */
    struct pv_checkpoint next;        /* the one to be reached */
    bool have_next;
    char next_note[PV_NOTE_MAX];
    size_t next_note_len;
    uint64_t latest_size;   /* of the file "checkpoint", read first */
    struct pv_buf latest;   /* its note, or empty */
    struct pv_note_key key; /* grows by the keys that signed events bring in */
    uint64_t rotation_seq;  /* of such an event that no checkpoint covers yet */
    uint8_t rotation_key[32], rotation_old[32];
    bool rotating;
    struct pv_leaf_cache *leaves; /* owned; stored hashes of what was detached, or NULL */
    uint64_t detached;            /* entries below it need not be there, says the log's file */
    uint64_t said, said_next;     /* so do signed events, and those no checkpoint covers yet */
    uint64_t first_skipped, last_skipped; /* of those that are not, when res->detached */
    bool yields;                          /* the anomaly, to a wrong tag of the same event */
    struct pv_verify_result anomaly;      /* first odd event since then; verdict OK: none */
};

const char *pv_verdict_name(enum pv_verdict v)
{
    static const char *const names[PV_VERDICT_MAX] = {
        "ok",          "edited",    "reordered",      "deleted",
        "inserted",    "truncated", "bad-checkpoint", "bad-signature",
        "unknown-key", "rollback",  "fork",           "gap",
        "bad-event",   "wrong-tag", "bad-tile",       "unfinished-tail"};
    return (unsigned)v < PV_VERDICT_MAX ? names[v] : "unknown";
}

static void verifier_done(struct verifier *v)
{
    pv_entry_stream_free(v->stream);
    pv_log_reader_free(v->entries);
    pv_checkpoint_reader_free(v->checkpoints);
    pv_domains_free(v->domains);
    pv_disclosed_free(v->disclosed);
    pv_tile_check_free(v->tiles);
    pv_leaf_cache_free(v->leaves);
    pv_buf_done(&v->latest);
}

/* Sets the verdict and the first event it speaks of; 1 = stop. */
static int judge(struct verifier *v, enum pv_verdict verdict, uint64_t seq, const char *text)
{
    v->res->verdict = verdict;
    v->res->has_seq = verdict != PV_VERDICT_OK;
    v->res->first_bad_seq = seq;
    snprintf(v->res->text, sizeof v->res->text, "%s", text);
    return 1;
}

static enum pv_verdict verdict_of_note(int rc)
{
    return rc == -ENOKEY         ? PV_VERDICT_UNKNOWN_KEY
           : rc == -EKEYREJECTED ? PV_VERDICT_BAD_SIGNATURE
                                 : PV_VERDICT_BAD_CHECKPOINT;
}

/* A checkpoint that is none: what lies past the last good one is not shown to be signed. */
static int judge_note(struct verifier *v, int rc, const char *which, const struct pv_err *why)
{
    char text[640];
    snprintf(text, sizeof text, "%s: %s (the events from e%" PRIu64 " on rest on it)", which,
             why->text, v->good.size);
    return judge(v, verdict_of_note(rc), v->good.size, text);
}

/* The file "checkpoint" is read before all else: whatever it signs must be found afterwards. */
static int read_latest(struct verifier *v, struct pv_err *err)
{
    struct pv_buf *b = &v->latest;
    struct pv_checkpoint c;
    struct pv_err why = PV_ERR_INIT;
    int rc = pv_read_file_at(v->dir_fd, PV_LOG_LATEST, b, err);
    if (rc == -ENOENT)
        return 0;
    PV_TRY(rc);
    rc = pv_checkpoint_open(&v->key, b->data ? b->data : (const uint8_t *)"", b->len, &c, &why);
    /* The key may have been changed since: then the log itself says so further on. */
    if (rc == -ENOKEY && pv_checkpoint_claimed_size(b->data, b->len, &v->latest_size))
        return 0;
    if (rc < 0)
        return judge_note(v, rc, "the file 'checkpoint'", &why);
    v->latest_size = c.size;
    return 0;
}

/* With all keys that the log brought in, and what it says of their ends. */
static int check_latest(struct verifier *v)
{
    struct pv_checkpoint c;
    struct pv_err why = PV_ERR_INIT;
    if (v->latest.len == 0)
        return 0;
    int rc = pv_checkpoint_open(&v->key, v->latest.data, v->latest.len, &c, &why);
    return rc < 0 ? judge_note(v, rc, "the file 'checkpoint'", &why) : 0;
}

/* A change that was cut short leaves its event and the old key in force: it took place when the new
 * key signed the checkpoint over it, or is known from elsewhere. */
static bool is_rotated(const struct verifier *v)
{
    struct pv_note_key next;
    struct pv_checkpoint c;
    struct pv_err ignored = PV_ERR_INIT;
    return pv_note_key_knows(v->opt->key, v->rotation_key) ||
           (pv_note_key_init(&next, v->key.name, v->rotation_key, &ignored) == 0 &&
            pv_checkpoint_open(&next, v->res->note, v->res->note_len, &c, &ignored) == 0);
}

/* A signed event brings in a key once a checkpoint by a key known before covers it; the key before
 * signs nothing larger. */
static int adopt_key(struct verifier *v, struct pv_err *err)
{
    if (!v->rotating || v->rotation_seq >= v->good.size)
        return 0;
    v->rotating = false;
    PV_TRY(pv_note_key_add(&v->key, v->rotation_key, err));
    if (is_rotated(v))
        pv_note_key_retire(&v->key, v->rotation_old, v->good.size);
    return 0;
}

/* Where checking begins late, the events that ended older keys are not seen. The log's list of
 * changes tells; a key whose end it does not show has ended before. */
static void retire_before(struct verifier *v)
{
    pv_autobuf struct pv_buf text;
    struct pv_err ignored = PV_ERR_INIT;
    pv_buf_init(&text, PV_ROTATIONS_MAX);
    if (!v->opt->since || v->key.n_older == 0)
        return;
    if (pv_rotations_read(v->dir_fd, &text, &ignored) == 0 && text.len)
        (void)!pv_rotations_follow(&v->key, text.data, text.len, &ignored);
    for (unsigned i = 0; i < v->key.n_older; i++)
        if (v->key.older[i].until == 0)
            v->key.older[i].until = v->opt->since->size;
}

/* Checks the next checkpoint and makes it the goal. */
static int next_checkpoint(struct verifier *v, struct pv_err *err)
{
    const uint8_t *note;
    size_t len;
    struct pv_checkpoint c;
    struct pv_err why = PV_ERR_INIT;
    char which[64];
    uint64_t claimed;
    int rc;
    do
        rc = pv_checkpoint_reader_next(v->checkpoints, &note, &len, &why);
    while (rc > 0 && v->opt->since && pv_checkpoint_claimed_size(note, len, &claimed) &&
           claimed <= v->opt->since->size);
    snprintf(which, sizeof which, "checkpoint number %" PRIu64, v->res->checkpoints + 1);
    v->have_next = false;
    if (rc == -EBADMSG)
        return judge_note(v, rc, which, &why);
    if (rc <= 0) {
        if (rc < 0 && err)
            *err = why;
        return rc;
    }
    rc = pv_checkpoint_open(&v->key, note, len, &c, &why);
    if (rc < 0)
        return judge_note(v, rc, which, &why);
    if (c.size < v->good.size)
        return judge(v, PV_VERDICT_BAD_CHECKPOINT, c.size, "checkpoints run backwards");
    v->next = c;
    v->have_next = true;
    memcpy(v->next_note, note, len);
    v->next_note_len = len;
    return 0;
}

/* Some of the stretch is in an archive that is not attached: only its hashes can be judged. */
static int judge_detached_stretch(struct verifier *v)
{
    char text[256];
    if (v->tree.size < v->next.size) {
        snprintf(text, sizeof text,
                 "the log ends at entry %" PRIu64 ", but a checkpoint signs %" PRIu64, v->tree.size,
                 v->next.size);
        return judge(v, PV_VERDICT_TRUNCATED, v->tree.size, text);
    }
    snprintf(text, sizeof text,
             "the stored hashes of the entries between e%" PRIu64 " and e%" PRIu64
             ", some of which are in an archive, do not give the signed root",
             v->good.size, v->next.size - 1);
    return judge(v, PV_VERDICT_BAD_TILE, v->good.size, text);
}

static int judge_stretch(struct verifier *v, struct pv_err *err)
{
    if (v->res->detached && v->last_skipped >= v->good.size)
        return judge_detached_stretch(v);
    struct pv_suspect s = {&v->good, v->next.size, v->next.root};
    int rc = pv_suspect_name(v->dir_fd, &s, v->res, err);
    return rc < 0 ? rc : 1;
}

/* What the log is compared with beside itself. */
struct known {
    const struct pv_checkpoint *checkpoint; /* or NULL */
    const char *name;
};
enum { KNOWN = 2 };

static void known_checkpoints(const struct verifier *v, struct known ret[KNOWN])
{
    ret[0] = (struct known){v->opt->pinned, "the pinned checkpoint"};
    ret[1] = (struct known){v->opt->witnessed, "the checkpoint that the witness cosigned"};
}

static int judge_fork(struct verifier *v, const struct known *k)
{
    char text[200];
    snprintf(
        text, sizeof text,
        "the log contradicts %s: it was forked or rewritten somewhere between e0 and e%" PRIu64,
        k->name, k->checkpoint->size ? k->checkpoint->size - 1 : 0);
    return judge(v, PV_VERDICT_FORK, 0, text);
}

static int check_known(struct verifier *v)
{
    struct known k[KNOWN];
    uint8_t root[PV_HASH_BYTES];
    known_checkpoints(v, k);
    for (unsigned i = 0; i < KNOWN; i++) {
        if (!k[i].checkpoint || k[i].checkpoint->size != v->tree.size)
            continue;
        pv_frontier_root(&v->tree, root);
        if (memcmp(root, k[i].checkpoint->root, sizeof root) != 0)
            return judge_fork(v, &k[i]);
    }
    return 0;
}

/* Tags are checked behind the reader. One that is wrong under a checkpoint that was passed already
 * is where this would have stopped; a later one joins what is odd since then. 1 = judged. */
static int settle_tags(struct verifier *v)
{
    struct pv_domain_id id;
    char text[256], domain[2 * PV_DOMAIN_ID_BYTES + 1];
    struct pv_verify_result *odd = &v->anomaly;
    uint64_t seq = v->stream ? pv_entry_stream_settle(v->stream, &id) : UINT64_MAX;
    if (seq == UINT64_MAX)
        return 0;
    pv_hex(id.bytes, sizeof id.bytes, domain);
    snprintf(text, sizeof text,
             "entry %" PRIu64 ": its tag is not the one that the key of domain %s gives", seq,
             domain);
    if (seq < v->good.size)
        return judge(v, PV_VERDICT_WRONG_TAG, seq, text);
    if (odd->verdict != PV_VERDICT_OK && odd->first_bad_seq <= seq &&
        !(odd->first_bad_seq == seq && v->yields))
        return 0;
    odd->verdict = PV_VERDICT_WRONG_TAG;
    odd->first_bad_seq = seq;
    snprintf(odd->text, sizeof odd->text, "%s", text);
    return 0;
}

/* Every checkpoint at the present size must carry the present root. */
static int reach_checkpoints(struct verifier *v, struct pv_err *err)
{
    while (v->have_next && v->next.size == v->tree.size) {
        uint8_t root[PV_HASH_BYTES];
        pv_frontier_root(&v->tree, root);
        if (memcmp(root, v->next.root, sizeof root) != 0) {
            if (v->good.size == v->tree.size)
                return judge(v, PV_VERDICT_FORK, 0,
                             "two checkpoints of one size sign two roots: the log was forked "
                             "somewhere between e0 and there");
            return judge_stretch(v, err);
        }
        if (v->anomaly.verdict != PV_VERDICT_OK) {
            int tag = settle_tags(v);
            return tag ? tag
                       : judge(v, v->anomaly.verdict, v->anomaly.first_bad_seq, v->anomaly.text);
        }
        v->good = v->tree;
        v->said = v->said_next;
        v->res->signed_entries = v->tree.size;
        v->res->checkpoints++;
        memcpy(v->res->note, v->next_note, v->next_note_len);
        v->res->note_len = v->next_note_len;
        memcpy(v->res->root, root, sizeof root);
        PV_TRY(adopt_key(v, err));
        int rc = next_checkpoint(v, err);
        if (rc)
            return rc;
    }
    return 0;
}

static void suspect_event(struct verifier *v, enum pv_verdict verdict, uint64_t seq,
                          const char *what)
{
    if (v->anomaly.verdict != PV_VERDICT_OK)
        return;
    v->anomaly.verdict = verdict;
    v->anomaly.first_bad_seq = seq;
    snprintf(v->anomaly.text, sizeof v->anomaly.text, "entry %" PRIu64 ": %s", seq, what);
}

static void count_gap(struct pv_verify_result *res, uint64_t seq, const struct pv_event *e)
{
    char witness[32];
    res->lost_records += pv_event_get_u64(e, "count");
    if (res->gap_events++)
        return;
    pv_event_get_text(e, "witness", witness, sizeof witness);
    res->first_gap_seq = seq;
    snprintf(res->first_gap, sizeof res->first_gap,
             "the outside witness (%s) lost %" PRIu64 " records of CPU %" PRIu64
             ": its ring was full",
             witness, pv_event_get_u64(e, "count"), pv_event_get_u64(e, "cpu"));
}

static void count_event(struct pv_verify_result *res, uint64_t seq, const struct pv_event *e)
{
    char witness[16];
    if (!res->first_time_ns)
        res->first_time_ns = e->time_ns;
    res->last_time_ns = e->time_ns;
    if (e->kind == PV_K_GAP)
        count_gap(res, seq, e);
    res->faults += e->kind == PV_K_PRODUCER_FAULT;
    res->recoveries += e->kind == PV_K_RECOVERY;
    if (e->kind == PV_K_LOG_OPEN) {
        pv_event_get_text(e, "witness", witness, sizeof witness);
        res->outside_missing |= strncmp(witness, "missing", 7) == 0;
    }
}

static void note_rotation(struct verifier *v, uint64_t seq, const struct pv_event *e)
{
    if (e->kind != PV_K_KEY_ROTATION)
        return;
    const struct pv_value *k = pv_event_field(e, "new_key"), *old = pv_event_field(e, "old_key");
    if (!k || k->len != sizeof v->rotation_key || !old || old->len != sizeof v->rotation_old)
        return;
    memcpy(v->rotation_key, k->bytes, sizeof v->rotation_key);
    memcpy(v->rotation_old, old->bytes, sizeof v->rotation_old);
    v->rotation_seq = seq;
    v->rotating = true;
    v->res->rotations++;
}

static void note_detached(struct verifier *v, const struct pv_event *e)
{
    if (e->kind != PV_K_LOG_DETACHED)
        return;
    uint64_t end = pv_event_get_u64(e, "first") + pv_event_get_u64(e, "count");
    if (end > v->said_next)
        v->said_next = end;
}

static int check_event(struct verifier *v, const struct pv_log_entry *entry, struct pv_err *err)
{
    struct pv_event e;
    struct pv_err why = PV_ERR_INIT;
    uint64_t expected;
    bool keyed;
    uint8_t key[PV_KEY_BYTES];
    char text[256], domain[2 * PV_DOMAIN_ID_BYTES + 1];
    if (pv_event_decode(entry->event, entry->event_len, &e, &why) < 0) {
        suspect_event(v, PV_VERDICT_BAD_EVENT, entry->seq, why.text);
        return 0;
    }
    enum pv_domain_fault fault =
        pv_domains_take(v->domains, entry, &e, v->good.size, &expected, &keyed, key);
    if (keyed)
        pv_entry_stream_expect(v->stream, key);
    pv_hex(e.domain.bytes, sizeof e.domain.bytes, domain);
    count_event(v->res, entry->seq, &e);
    note_rotation(v, entry->seq, &e);
    note_detached(v, &e);
    switch (fault) {
    case PV_DOMAIN_FINE:
        break;
    case PV_DOMAIN_NO_MEMORY:
        return pv_fail(err, ENOMEM, "remember the log's domains");
    case PV_DOMAIN_GAP:
        snprintf(text, sizeof text,
                 "events %" PRIu64 " to %" PRIu64 " of domain %s are missing before it", expected,
                 e.dseq - 1, domain);
        suspect_event(v, PV_VERDICT_GAP, entry->seq, text);
        break;
    case PV_DOMAIN_REPEATED:
        snprintf(text, sizeof text, "event %" PRIu64 " of domain %s comes when %" PRIu64 " is due",
                 e.dseq, domain, expected);
        suspect_event(v, PV_VERDICT_BAD_EVENT, entry->seq, text);
        break;
    case PV_DOMAIN_UNOPENED:
        snprintf(text, sizeof text, "domain %s does not begin, once, with its commitment", domain);
        suspect_event(v, PV_VERDICT_BAD_EVENT, entry->seq, text);
        break;
    case PV_DOMAIN_CLOSED:
        snprintf(text, sizeof text, "domain %s was closed before it", domain);
        suspect_event(v, PV_VERDICT_BAD_EVENT, entry->seq, text);
        break;
    case PV_DOMAIN_WRONG_EPOCH:
        snprintf(text, sizeof text, "it names an epoch that domain %s is not in", domain);
        suspect_event(v, PV_VERDICT_BAD_EVENT, entry->seq, text);
        break;
    case PV_DOMAIN_WRONG_KEY:
        snprintf(text, sizeof text,
                 "the key disclosed for epoch %" PRIu32
                 " of domain %s is not the one that was committed to",
                 e.epoch, domain);
        suspect_event(v, PV_VERDICT_WRONG_TAG, entry->seq, text);
        break;
    case PV_DOMAIN_TOO_SOON:
        v->yields = v->anomaly.verdict == PV_VERDICT_OK;
        suspect_event(v, PV_VERDICT_BAD_EVENT, entry->seq,
                      "it discloses a key before that epoch lies under a checkpoint");
        break;
    }
    return 0;
}

/* entry NULL: it is detached. */
static int check_tiles(struct verifier *v, const struct pv_log_entry *entry,
                       const uint8_t leaf[PV_HASH_BYTES], struct pv_err *err)
{
    int rc = pv_tile_check_add(v->tiles, entry, leaf, v->tile_root, err);
    if (rc == 0 && v->tree.size == v->latest_size)
        rc = pv_tile_check_partial(v->tiles, err);
    if (rc > 0)
        suspect_event(v, PV_VERDICT_BAD_TILE, v->tree.size - 1, pv_tile_check_what(v->tiles));
    return rc < 0 ? rc : 0;
}

static int take_leaf(struct verifier *v, const struct pv_log_entry *entry,
                     const uint8_t leaf[PV_HASH_BYTES], struct pv_err *err)
{
    pv_frontier_add_above(&v->tree, leaf, PV_TILE_HEIGHT, v->tile_root);
    v->res->entries = v->tree.size;
    PV_TRY(check_tiles(v, entry, leaf, err));
    if (v->opt->progress && v->tree.size % PROGRESS_EVERY == 0)
        v->opt->progress(v->opt->ctx, v->tree.size);
    return 0;
}

/* An entry that only an archive holds: its stored hash takes its place in the tree. 0 = there is
 * none. */
static int detached_leaf(struct verifier *v, const uint8_t **ret, struct pv_err *err)
{
    uint64_t seq = v->tree.size;
    if (!v->leaves)
        PV_TRY(pv_leaf_cache_open(&v->leaves, v->dir_fd, err));
    *ret = pv_leaf_cache_get(v->leaves, seq);
    if (!*ret)
        return 0;
    if (v->res->detached++ == 0)
        v->first_skipped = seq;
    v->last_skipped = seq;
    /* A bundle is there or is not: the next one may be. */
    if (seq % PV_TILE_WIDTH == 0)
        pv_domains_lose_track(v->domains);
    if ((seq + 1) % PV_TILE_WIDTH == 0)
        pv_log_reader_skip(v->entries, seq + 1);
    return 1;
}

/* Inside a bundle that is missing the reader is not asked again. */
static bool is_skipping(const struct verifier *v)
{
    return v->tree.size < v->detached && pv_log_reader_seq(v->entries) < v->tree.size;
}

static bool may_be_detached(const struct verifier *v)
{
    return v->tree.size < v->detached && v->tree.size % PV_TILE_WIDTH == 0 &&
           pv_log_reader_torn(v->entries) == 0;
}

/* Entries may go while this reads: before one is missed, the log is asked again. What it says
 * counts only with a signed event, in the end. */
static int learn_detached(struct verifier *v, struct pv_err *err)
{
    uint64_t now;
    PV_TRY(pv_log_detached(v->dir_fd, &now, err));
    v->detached = now > v->detached ? now : v->detached;
    return 0;
}

/* The next entry, or the hash of a detached one (then ret_entry says no bytes). 1, 0 at the end,
 * -EBADMSG. */
static int next_entry(struct verifier *v, struct pv_log_entry *ret_entry, const uint8_t **ret_leaf,
                      struct pv_err *err)
{
    int rc = 0;
    if (!is_skipping(v))
        rc = pv_entry_stream_next(v->stream, ret_entry, ret_leaf, err);
    if (rc == 0 && v->tree.size >= v->detached)
        PV_TRY(learn_detached(v, err));
    if (rc != 0 || !(is_skipping(v) || may_be_detached(v)))
        return rc;
    *ret_entry = (struct pv_log_entry){.seq = v->tree.size};
    return detached_leaf(v, ret_leaf, err);
}

/* The same. Entries are written before their checkpoint, and the end may have been met by reading
 * ahead, before the goal was read: below it the end counts only when it is met again. */
static int next_or_end(struct verifier *v, struct pv_log_entry *ret_entry, const uint8_t **ret_leaf,
                       struct pv_err *err)
{
    int rc = next_entry(v, ret_entry, ret_leaf, err);
    return rc == 0 && v->have_next ? next_entry(v, ret_entry, ret_leaf, err) : rc;
}

/* Where no checkpoint is left to reach, one may have been written since, and what comes may rest on
 * it: asked before every entry, as a checkpoint covers all written before it. 1 = judged. */
static int later_checkpoint(struct verifier *v, struct pv_err *err)
{
    if (v->have_next)
        return 0;
    int rc = next_checkpoint(v, err);
    return rc ? rc : reach_checkpoints(v, err);
}

static int take_entry(struct verifier *v, const struct pv_log_entry *entry, const uint8_t *leaf,
                      struct pv_err *err)
{
    PV_TRY(take_leaf(v, entry->bytes ? entry : NULL, leaf, err));
    return entry->bytes ? check_event(v, entry, err) : 0;
}

static int read_all(struct verifier *v, struct pv_err *err)
{
    for (;;) {
        struct pv_log_entry entry;
        const uint8_t *leaf;
        int rc = check_known(v);
        if (rc == 0)
            rc = reach_checkpoints(v, err);
        if (rc == 0 && pv_entry_stream_wrong(v->stream) < v->good.size)
            rc = settle_tags(v);
        if (rc)
            return rc;
        rc = next_or_end(v, &entry, &leaf, err);
        if (rc == -EBADMSG && !v->have_next) {
            suspect_event(v, PV_VERDICT_UNFINISHED_TAIL, v->tree.size, err->text);
            return 0;
        }
        if (v->have_next && (rc == 0 || rc == -EBADMSG))
            return judge_stretch(v, err);
        if (rc <= 0)
            return rc;
        rc = later_checkpoint(v, err);
        if (rc)
            return rc;
        PV_TRY(take_entry(v, &entry, leaf, err));
    }
}

/* Whatever was found: a wrong tag before it comes first. */
static int read_and_settle(struct verifier *v, struct pv_err *err)
{
    unsigned jobs = v->opt->jobs ? v->opt->jobs : 1;
    PV_TRY(pv_entry_stream_new(&v->stream, v->entries, jobs < JOBS_MAX ? jobs : JOBS_MAX, err));
    int rc = read_all(v, err);
    PV_TRY(rc);
    int tag = settle_tags(v);
    return tag ? tag : rc;
}

/* An auditor signs what it has written within milliseconds. Many entries past the last checkpoint
 * are therefore no unfinished work: somebody took the checkpoints away to change what they sign. */
static int check_unsigned(struct verifier *v, struct pv_err *err)
{
    uint64_t signed_size = v->good.size;
    char text[256];
    if (v->tree.size - v->good.size <= UNSIGNED_MAX)
        return 0;
    /* Signed while this was reading. */
    for (;;) {
        int rc = next_checkpoint(v, err);
        if (rc)
            return rc;
        if (!v->have_next)
            break;
        signed_size = v->next.size;
    }
    if (signed_size + UNSIGNED_MAX >= v->tree.size)
        return 0;
    snprintf(text, sizeof text,
             "%" PRIu64 " entries from e%" PRIu64
             " on lie under no checkpoint: the list of checkpoints was cut",
             v->tree.size - signed_size, signed_size);
    return judge(v, PV_VERDICT_TRUNCATED, signed_size, text);
}

/* Only a signed event lets entries be missing. */
static int check_detached(struct verifier *v)
{
    char text[256];
    uint64_t first = v->first_skipped > v->said ? v->first_skipped : v->said;
    if (v->res->detached == 0)
        return 0;
    if (v->said < v->last_skipped + 1) {
        snprintf(text, sizeof text,
                 "entries up to e%" PRIu64
                 " are missing, and no signed event says that those from e%" PRIu64
                 " on were moved into an archive",
                 v->last_skipped, first);
        return judge(v, PV_VERDICT_DELETED, first, text);
    }
    if (!v->opt->complete)
        return 0;
    snprintf(text, sizeof text,
             "%" PRIu64 " entries from e%" PRIu64 " on are in archives that are not attached",
             v->res->detached, v->first_skipped);
    return judge(v, PV_VERDICT_GAP, v->first_skipped, text);
}

static int check_rollback(struct verifier *v)
{
    struct known k[KNOWN];
    char text[256];
    known_checkpoints(v, k);
    for (unsigned i = 0; i < KNOWN; i++) {
        if (!k[i].checkpoint || k[i].checkpoint->size <= v->res->signed_entries)
            continue;
        snprintf(text, sizeof text,
                 "the log signs %" PRIu64 " entries, %s %" PRIu64 ": it was rolled back",
                 v->res->signed_entries, k[i].name, k[i].checkpoint->size);
        return judge(v, PV_VERDICT_ROLLBACK, v->res->signed_entries, text);
    }
    return 0;
}

/* What can be said only at the end. */
static int judge_end(struct verifier *v, struct pv_err *err)
{
    char text[256];
    v->res->torn_bytes = pv_log_reader_torn(v->entries);
    int rc = check_latest(v);
    if (rc)
        return rc;
    if (v->latest_size > v->res->signed_entries) {
        snprintf(text, sizeof text,
                 "the last checkpoint signs %" PRIu64
                 " entries, the list of checkpoints ends at %" PRIu64 ": it was cut",
                 v->latest_size, v->res->signed_entries);
        return judge(v, PV_VERDICT_TRUNCATED, v->res->signed_entries, text);
    }
    rc = check_rollback(v);
    if (rc)
        return rc;
    rc = check_detached(v);
    if (rc)
        return rc;
    rc = check_unsigned(v, err);
    if (rc)
        return rc;
    if (v->anomaly.verdict != PV_VERDICT_OK)
        return judge(v, v->anomaly.verdict, v->anomaly.first_bad_seq, v->anomaly.text);
    if (v->opt->complete && v->res->gap_events)
        return judge(v, PV_VERDICT_GAP, v->res->first_gap_seq, v->res->first_gap);
    if (v->res->torn_bytes) {
        snprintf(text, sizeof text,
                 "%" PRIu64 " bytes of an unfinished entry stand where e%" PRIu64 " would be",
                 v->res->torn_bytes, v->tree.size);
        return judge(v, PV_VERDICT_UNFINISHED_TAIL, v->tree.size, text);
    }
    snprintf(text, sizeof text,
             "%" PRIu64 " entries under %" PRIu64 " checkpoints are as they were signed",
             v->res->signed_entries, v->res->checkpoints);
    return judge(v, PV_VERDICT_OK, 0, text);
}

static int open_tiles(struct verifier *v, struct pv_err *err)
{
    uint64_t first = 0, last;
    int rc = pv_log_journal(v->dir_fd, &first, &last, err);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    return pv_tile_check_new(&v->tiles, v->dir_fd, first * PV_LOG_SEGMENT_ENTRIES, err);
}

/* What is known of sizes that will not be passed any more: the tree must begin with it. */
static int check_known_before(struct verifier *v, struct pv_tree_reader *r, struct pv_err *err)
{
    struct known k[KNOWN];
    struct pv_proof proof;
    known_checkpoints(v, k);
    for (unsigned i = 0; i < KNOWN; i++) {
        const struct pv_checkpoint *c = k[i].checkpoint;
        if (!c || c->size == 0 || c->size >= v->good.size)
            continue;
        PV_TRY(pv_tree_consistency(r, c->size, &proof, err));
        if (!pv_proof_is_consistent(&proof, c->size, c->root, v->good.size, v->res->root))
            return judge_fork(v, &k[i]);
    }
    return 0;
}

/* The tree as the verifier knew it: if the log's tiles still give it, nothing before was changed,
 * as far as the tree is concerned. */
static int adopt_since(struct verifier *v, uint64_t base, struct pv_err *err)
{
    const struct pv_checkpoint *since = v->opt->since;
    pv_auto_tree_reader struct pv_tree_reader *r = NULL;
    uint8_t root[PV_HASH_BYTES];
    struct pv_err why = PV_ERR_INIT;
    PV_TRY(pv_tree_reader_open(&r, v->dir_fd, since->size, err));
    int rc = pv_tree_frontier(r, &v->tree, &why);
    if (rc == 0)
        rc = pv_tile_check_start(v->tiles, base, &why);
    if (rc == -EBADMSG)
        return judge(v, PV_VERDICT_ROLLBACK, 0, why.text);
    if (rc < 0) {
        *err = why;
        return rc;
    }
    pv_frontier_root(&v->tree, root);
    if (memcmp(root, since->root, sizeof root) != 0)
        return judge(v, PV_VERDICT_FORK, 0,
                     "the log's tiles contradict the checkpoint it was verified up to before: it "
                     "was forked or rewritten before that");
    v->good = v->tree;
    v->res->entries = v->res->signed_entries = since->size;
    memcpy(v->res->root, root, sizeof root);
    return check_known_before(v, r, err);
}

/* The entries of that bundle before the one where checking begins are read only for the check of
 * tiles; when they were detached, their stored hashes do. */
static int pass_over(struct verifier *v, uint64_t seq, struct pv_err *err)
{
    struct pv_log_entry entry;
    uint8_t hash[PV_HASH_BYTES];
    const uint8_t *leaf = hash;
    int rc = pv_log_reader_next(v->entries, &entry, err);
    bool there = rc > 0;
    if (there)
        pv_leaf_hash(entry.bytes, entry.len, hash);
    if (rc == 0 && seq >= v->detached)
        PV_TRY(learn_detached(v, err));
    if (rc == 0 && seq < v->detached) {
        if (!v->leaves)
            PV_TRY(pv_leaf_cache_open(&v->leaves, v->dir_fd, err));
        leaf = pv_leaf_cache_get(v->leaves, seq);
        rc = leaf != NULL;
    }
    if (rc == 0 || rc == -EBADMSG)
        return judge(v, PV_VERDICT_ROLLBACK, seq, "the log ends before what was verified earlier");
    PV_TRY(rc);
    int odd = pv_tile_check_add(v->tiles, there ? &entry : NULL, leaf, v->tile_root, err);
    return odd < 0 ? odd : 0;
}

/* Opens the entries where checking begins: at the first, or behind what was verified earlier. */
static int start_since(struct verifier *v, struct pv_err *err)
{
    struct pv_err why = PV_ERR_INIT;
    if (!v->opt->since)
        return pv_log_reader_open(&v->entries, v->dir_fd, 0, err);
    uint64_t size = v->opt->since->size, base = size - size % PV_TILE_WIDTH;
    int rc = adopt_since(v, base, err);
    if (rc)
        return rc;
    rc = pv_log_reader_open(&v->entries, v->dir_fd, base, &why);
    if (rc == -ESTALE)
        return judge(v, PV_VERDICT_ROLLBACK, 0, why.text);
    if (rc < 0)
        *err = why;
    for (uint64_t i = base; rc == 0 && i < size; i++)
        rc = pass_over(v, i, err);
    return rc;
}

int pv_verify_log(int dir_fd, const struct pv_verify_options *options, struct pv_verify_result *ret,
                  struct pv_err *err)
{
    PV_TRY(pv_crypto_init(err));
    pv_autofree struct pv_verify_result *res = calloc(1, sizeof *res);
    __attribute__((cleanup(verifier_done))) struct verifier v = {
        .dir_fd = dir_fd, .opt = options, .res = res, .disclosed = pv_disclosed_new()};
    v.key = *options->key;
    pv_buf_init(&v.latest, PV_NOTE_MAX);
    v.domains = pv_domains_new(v.disclosed, options->since != NULL);
    if (!res || !v.domains || !v.disclosed)
        return pv_fail(err, ENOMEM, "allocate the verifier");
    retire_before(&v);
    int rc = read_latest(&v, err);
    if (rc == 0)
        rc = pv_checkpoint_reader_open(&v.checkpoints, dir_fd, 0, err);
    if (rc == 0)
        rc = open_tiles(&v, err);
    if (rc == 0)
        rc = pv_log_detached(dir_fd, &v.detached, err);
    if (rc == 0)
        rc = start_since(&v, err);
    if (rc == 0)
        rc = pv_disclosed_read(v.disclosed, dir_fd, v.tree.size, err);
    if (rc == 0)
        rc = next_checkpoint(&v, err);
    if (rc == 0)
        rc = read_and_settle(&v, err);
    if (rc == 0)
        rc = judge_end(&v, err);
    PV_TRY(rc);
    pv_domains_count(v.domains, &res->domains, &res->open_domains);
    res->rechecked_tags = pv_domains_rechecked(v.domains);
    res->key = v.key;
    *ret = *res;
    return 0;
}
