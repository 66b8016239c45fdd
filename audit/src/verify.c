#include "verifier.h"

#include "pv/archive.h"
#include "pv/own.h"
#include "pv/tile.h"

#include <stdlib.h>

enum {
    PROGRESS_EVERY = 16384,
    JOBS_MAX = 32,
};

static void verifier_done(struct pv_verifier *v)
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

/* Entries may go while this reads: before one is missed, the log is asked again. What it says
 * counts only with a signed event, in the end. */
int pv_verifier_learn_detached(struct pv_verifier *v, struct pv_err *err)
{
    uint64_t now;
    PV_TRY(pv_log_detached(v->dir_fd, &now, err));
    v->detached = now > v->detached ? now : v->detached;
    return 0;
}

/* entry NULL: it is detached. */
static int check_tiles(struct pv_verifier *v, const struct pv_log_entry *entry,
                       const uint8_t leaf[PV_HASH_BYTES], struct pv_err *err)
{
    int rc = pv_tile_check_add(v->tiles, entry, leaf, v->tile_root, err);
    if (rc == 0 && v->tree.size == v->latest_size)
        rc = pv_tile_check_partial(v->tiles, err);
    if (rc > 0)
        pv_verifier_suspect(v, PV_VERDICT_BAD_TILE, v->tree.size - 1, pv_tile_check_what(v->tiles));
    return rc < 0 ? rc : 0;
}

static int take_leaf(struct pv_verifier *v, const struct pv_log_entry *entry,
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
static int detached_leaf(struct pv_verifier *v, const uint8_t **ret, struct pv_err *err)
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
    pv_verifier_note_detached_rotation(v, seq, *ret);
    /* A bundle is there or is not: the next one may be. */
    if (seq % PV_TILE_WIDTH == 0)
        pv_domains_lose_track(v->domains);
    if ((seq + 1) % PV_TILE_WIDTH == 0)
        pv_log_reader_skip(v->entries, seq + 1);
    return 1;
}

/* Inside a bundle that is missing the reader is not asked again. */
static bool is_skipping(const struct pv_verifier *v)
{
    return v->tree.size < v->detached && pv_log_reader_seq(v->entries) < v->tree.size;
}

static bool may_be_detached(const struct pv_verifier *v)
{
    return v->tree.size < v->detached && v->tree.size % PV_TILE_WIDTH == 0 &&
           pv_log_reader_torn(v->entries) == 0;
}

/* The next entry, or the hash of a detached one (then ret_entry says no bytes). 1, 0 at the end,
 * -EBADMSG. */
static int next_entry(struct pv_verifier *v, struct pv_log_entry *ret_entry,
                      const uint8_t **ret_leaf, struct pv_err *err)
{
    int rc = 0;
    if (!is_skipping(v))
        rc = pv_entry_stream_next(v->stream, ret_entry, ret_leaf, err);
    if (rc == 0 && v->tree.size >= v->detached)
        PV_TRY(pv_verifier_learn_detached(v, err));
    if (rc != 0 || !(is_skipping(v) || may_be_detached(v)))
        return rc;
    *ret_entry = (struct pv_log_entry){.seq = v->tree.size};
    return detached_leaf(v, ret_leaf, err);
}

/* The same. Entries are written before their checkpoint, and the end may have been met by reading
 * ahead, before the goal was read: below it the end counts only when it is met again. */
static int next_or_end(struct pv_verifier *v, struct pv_log_entry *ret_entry,
                       const uint8_t **ret_leaf, struct pv_err *err)
{
    int rc = next_entry(v, ret_entry, ret_leaf, err);
    return rc == 0 && v->have_next ? next_entry(v, ret_entry, ret_leaf, err) : rc;
}

static int take_entry(struct pv_verifier *v, const struct pv_log_entry *entry, const uint8_t *leaf,
                      struct pv_err *err)
{
    PV_TRY(take_leaf(v, entry->bytes ? entry : NULL, leaf, err));
    return entry->bytes ? pv_verifier_check_event(v, entry, err) : 0;
}

static int read_all(struct pv_verifier *v, struct pv_err *err)
{
    for (;;) {
        struct pv_log_entry entry;
        const uint8_t *leaf;
        int rc = pv_verifier_check_known(v);
        if (rc == 0)
            rc = pv_verifier_reach(v, err);
        if (rc == 0 && pv_entry_stream_wrong(v->stream) < v->good.size)
            rc = pv_verifier_settle_tags(v);
        if (rc)
            return rc;
        rc = next_or_end(v, &entry, &leaf, err);
        if (rc == -EBADMSG && !v->have_next) {
            pv_verifier_suspect(v, PV_VERDICT_UNFINISHED_TAIL, v->tree.size, err->text);
            return 0;
        }
        if (v->have_next && (rc == 0 || rc == -EBADMSG))
            return pv_verifier_judge_stretch(v, err);
        if (rc <= 0)
            return rc;
        rc = pv_verifier_later_checkpoint(v, err);
        if (rc)
            return rc;
        PV_TRY(take_entry(v, &entry, leaf, err));
    }
}

/* Whatever was found: a wrong tag before it comes first. */
static int read_and_settle(struct pv_verifier *v, struct pv_err *err)
{
    unsigned jobs = v->opt->jobs ? v->opt->jobs : 1;
    PV_TRY(pv_entry_stream_new(&v->stream, v->entries, jobs < JOBS_MAX ? jobs : JOBS_MAX, err));
    int rc = read_all(v, err);
    PV_TRY(rc);
    int tag = pv_verifier_settle_tags(v);
    return tag ? tag : rc;
}

static int open_tiles(struct pv_verifier *v, struct pv_err *err)
{
    uint64_t first = 0, last;
    int rc = pv_log_journal(v->dir_fd, &first, &last, err);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    return pv_tile_check_new(&v->tiles, v->dir_fd, first * PV_LOG_SEGMENT_ENTRIES, v->latest_size,
                             err);
}

int pv_verify_log(int dir_fd, const struct pv_verify_options *options, struct pv_verify_result *ret,
                  struct pv_err *err)
{
    PV_TRY(pv_crypto_init(err));
    pv_autofree struct pv_verify_result *res = calloc(1, sizeof *res);
    __attribute__((cleanup(verifier_done))) struct pv_verifier v = {
        .dir_fd = dir_fd, .opt = options, .res = res, .disclosed = pv_disclosed_new()};
    v.key = *options->key;
    pv_buf_init(&v.latest, PV_NOTE_MAX);
    v.domains = pv_domains_new(v.disclosed, options->since != NULL);
    if (!res || !v.domains || !v.disclosed)
        return pv_fail(err, ENOMEM, "allocate the verifier");
    pv_verifier_keys_before(&v);
    int rc = pv_verifier_read_latest(&v, err);
    if (rc == 0)
        rc = pv_verifier_open_checkpoints(&v, err);
    if (rc == 0)
        rc = open_tiles(&v, err);
    if (rc == 0)
        rc = pv_log_detached(dir_fd, &v.detached, err);
    if (rc == 0)
        rc = pv_verifier_start(&v, err);
    if (rc == 0)
        rc = pv_disclosed_read(v.disclosed, dir_fd, v.tree.size, err);
    if (rc == 0)
        rc = pv_verifier_next_checkpoint(&v, err);
    if (rc == 0)
        rc = read_and_settle(&v, err);
    if (rc == 0)
        rc = pv_verifier_judge_end(&v, err);
    PV_TRY(rc);
    pv_domains_count(v.domains, &res->domains, &res->open_domains);
    res->rechecked_tags = pv_domains_rechecked(v.domains);
    res->tiles_missing = v.tiles && pv_tile_check_missing(v.tiles);
    res->key = v.key;
    *ret = *res;
    return 0;
}
