/* Opening a log: the last checkpoint is the truth, everything under it must match it; what lies
 * past it is kept as far as it is whole and nobody objects. */
#include "log_state.h"

#include "detached.h"
#include "keys.h"
#include "log_files.h"
#include "rotations.h"

#include "pv/io.h"
#include "pv/own.h"
#include "pv/proof.h"
#include "pv/published.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static bool exists(const struct pv_log *log, const char *name)
{
    struct stat st;
    return fstatat(log->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

/* A rotation that was cut short took place when a checkpoint carries the next key's signature: the
 * first such one is over its event. */
static int note_change(struct pv_log *log, const uint8_t *note, size_t len, struct pv_err *err)
{
    struct pv_checkpoint unused;
    struct pv_err why = PV_ERR_INIT;
    if (log->change.len || pv_checkpoint_open(&log->next.key, note, len, &unused, &why) < 0)
        return 0;
    pv_buf_raw(&log->change, note, len);
    return pv_buf_check(&log->change, "checkpoint", err);
}

/* The checkpoint that was published last, when a key of this log signed it: the present one, or one
 * that log.pub names before it. 1 = there is one; 0 = none that could prove anything. */
static int published(const struct pv_log *log, struct pv_checkpoint *ret, struct pv_err *err)
{
    struct pv_note_key known;
    struct pv_signed_checkpoint latest;
    struct pv_err why = PV_ERR_INIT;
    PV_TRY(pv_log_key_known(&known, &log->signer.key, log->key_dir_fd, err));
    int rc = pv_log_latest(log->dir_fd, &known, &latest, &why);
    if (rc == -ENOENT || rc == -EBADMSG || rc == -ENOKEY || rc == -EKEYREJECTED)
        return 0;
    if (rc < 0) {
        if (err)
            *err = why;
        return rc;
    }
    *ret = latest.at;
    return 1;
}

/* A checkpoint is published when the list with it is durable, so no crash leaves a list that ends
 * before the published one. Where it does, what was signed would be taken for an unsigned tail, and
 * a log would be signed that contradicts what others have seen. */
static int check_published(const struct pv_log *log, const struct pv_checkpoint *last,
                           struct pv_err *err)
{
    struct pv_checkpoint seen;
    int rc = published(log, &seen, err);
    PV_TRY(rc);
    if (rc == 0 && last->size == 0 && exists(log, PV_LOG_LATEST))
        return pv_refuse(err, EBADMSG,
                         "there is a '" PV_LOG_LATEST
                         "', but not by this log's key, and no list '" PV_LOG_CHECKPOINTS
                         "'. The log is left as it is: put the files back, or keep it as evidence "
                         "and begin another (docs/operations.md)");
    if (rc == 0 || seen.size < last->size)
        return 0;
    if (seen.size > last->size)
        return pv_refuse(err, EBADMSG,
                         "'" PV_LOG_LATEST "' signs %ju entries, but the list '" PV_LOG_CHECKPOINTS
                         "' ends at %ju: it was cut. The log is left as it is: put the whole list "
                         "back, or keep it as evidence and begin another (docs/operations.md)",
                         (uintmax_t)seen.size, (uintmax_t)last->size);
    return memcmp(seen.root, last->root, sizeof seen.root) == 0
               ? 0
               : pv_refuse(err, EBADMSG,
                           "'" PV_LOG_LATEST "' and the list '" PV_LOG_CHECKPOINTS
                           "' sign different logs of %ju entries. The log is left as it is: keep "
                           "it as evidence and begin another (docs/operations.md)",
                           (uintmax_t)seen.size);
}

/* Finds the last checkpoint and cuts off a torn one. */
static int last_checkpoint(struct pv_log *log, struct pv_checkpoint *ret, bool *ret_found,
                           struct pv_err *err)
{
    pv_auto_checkpoint_reader struct pv_checkpoint_reader *r = NULL;
    const uint8_t *note;
    size_t len;
    int rc, pending = pv_log_key_pending(&log->next, log->key_dir_fd, err);
    PV_TRY(pending);
    PV_TRY(pv_checkpoint_reader_open_late(&r, log->dir_fd, log->signer.key.name, err));
    while ((rc = pv_checkpoint_reader_next(r, &note, &len, err)) > 0) {
        pv_buf_reset(&log->latest);
        pv_buf_raw(&log->latest, note, len);
        if (pending)
            PV_TRY(note_change(log, note, len, err));
    }
    PV_TRY(rc);
    *ret_found = log->latest.len > 0;
    if (*ret_found) {
        rc = pv_checkpoint_open(&log->signer.key, log->latest.data, log->latest.len, ret, err);
        if (rc < 0)
            return pv_wrap(err, rc, "the log's last checkpoint");
        log->latest_stale = true;
    }
    PV_TRY(check_published(log, ret, err));
    if (pending && !log->change.len)
        PV_TRY(pv_log_key_settle(log->key_dir_fd, false, err));
    if (pv_checkpoint_reader_torn(r))
        return pv_tail_cut(&log->checkpoints, pv_checkpoint_reader_offset(r), err);
    return 0;
}

struct scan {
    struct pv_log *log;
    const struct pv_checkpoint *checkpoint; /* size 0 when there is none */
    uint64_t journal;         /* its first entry: those before stand in durable tiles */
    uint64_t from;            /* the first entry to be looked at */
    uint64_t segment, offset; /* end of the last good entry */
};

static int check_root(const struct scan *s, struct pv_err *err)
{
    uint8_t root[PV_HASH_BYTES];
    if (s->checkpoint->size == 0 || s->log->tree.size != s->checkpoint->size)
        return 0;
    pv_frontier_root(&s->log->tree, root);
    if (memcmp(root, s->checkpoint->root, sizeof root) != 0)
        return pv_refuse(err, EBADMSG,
                         "the log's first %ju entries are not those its checkpoint signs; 'provost "
                         "verify' names the place",
                         (uintmax_t)s->checkpoint->size);
    return 0;
}

static void take(struct scan *s, const struct pv_log_entry *entry)
{
    uint8_t leaf[PV_HASH_BYTES];
    pv_leaf_hash(entry->bytes, entry->len, leaf);
    pv_frontier_add(&s->log->tree, leaf);
    if (entry->seq < s->journal)
        pv_tiles_seed(s->log->tiles, leaf);
}

/* Whether the tree before the journal, with the journal's entries, is what the checkpoint signs. */
static bool leads_to_root(const struct scan *s, struct pv_frontier f)
{
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    struct pv_log_entry entry;
    struct pv_err ignored = PV_ERR_INIT;
    uint8_t hash[PV_HASH_BYTES];
    if (pv_log_reader_open(&r, s->log->dir_fd, s->journal, &ignored) < 0)
        return false;
    while (f.size < s->checkpoint->size) {
        if (pv_log_reader_next(r, &entry, &ignored) <= 0)
            return false;
        pv_leaf_hash(entry.bytes, entry.len, hash);
        pv_frontier_add(&f, hash);
    }
    pv_frontier_root(&f, hash);
    return f.size == s->checkpoint->size && memcmp(hash, s->checkpoint->root, sizeof hash) == 0;
}

/* What lies before the journal need not be read again when its tiles give the signed root. When
 * they do not, everything is read, as if there were none. */
static int start_at_journal(struct scan *s, struct pv_err *err)
{
    pv_auto_tree_reader struct pv_tree_reader *r = NULL;
    struct pv_frontier f;
    struct pv_err why = PV_ERR_INIT;
    if (s->journal == 0 || s->journal > s->checkpoint->size)
        return 0;
    PV_TRY(pv_tree_reader_open(&r, s->log->dir_fd, s->journal, err));
    if (pv_tree_frontier(r, &f, &why) < 0 || !leads_to_root(s, f))
        return 0;
    PV_TRY(pv_tiles_resume(s->log->tiles, r, s->journal, err));
    s->log->tree = f;
    s->from = s->journal;
    return check_root(s, err);
}

/* Reads on until the entries end or one past the checkpoint is refused. */
static int scan_entries(struct scan *s, pv_log_scan_fn fn, void *ctx, struct pv_err *err)
{
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    PV_TRY(pv_log_reader_open(&r, s->log->dir_fd, s->from, err));
    for (;;) {
        struct pv_log_entry entry;
        struct pv_event event;
        uint64_t seq = pv_log_reader_seq(r);
        bool is_signed = seq < s->checkpoint->size;
        pv_log_reader_place(r, &s->segment, &s->offset);
        int rc = pv_log_reader_next(r, &entry, err);
        if (rc > 0 && pv_event_decode(entry.event, entry.event_len, &event, err) < 0)
            rc = -EBADMSG;
        if (rc > 0 && fn) {
            int verdict = fn(ctx, &entry, &event, is_signed, err);
            PV_TRY(verdict);
            if (verdict > 0 && !is_signed)
                return 0;
        }
        if (rc == -EBADMSG && !is_signed)
            return 0;
        if (rc < 0)
            return pv_wrap(err, rc, "log entry %ju", (uintmax_t)seq);
        if (rc == 0 && is_signed)
            return pv_refuse(err, EBADMSG,
                             "the log ends at entry %ju, but its checkpoint signs %ju: it was cut",
                             (uintmax_t)seq, (uintmax_t)s->checkpoint->size);
        if (rc == 0)
            return 0;
        take(s, &entry);
        PV_TRY(check_root(s, err));
    }
}

static bool segment_exists(const struct pv_log *log, uint64_t number)
{
    char name[PV_LOG_SEGMENT_NAME_MAX];
    snprintf(name, sizeof name, PV_LOG_SEGMENT_FORMAT, (uintmax_t)number);
    return exists(log, name);
}

/* Cuts the last segment behind the last good entry. */
static int cut_tail(const struct scan *s, struct pv_log_recovery *ret, struct pv_err *err)
{
    struct pv_log *log = s->log;
    if (segment_exists(log, s->segment + 1))
        return pv_refuse(err, EBADMSG, "log segment %ju is followed by another, but is not whole",
                         (uintmax_t)s->segment);
    PV_TRY(pv_log_open_segment(log, s->segment, err));
    if (log->segment.bytes > s->offset) {
        ret->discarded_bytes = log->segment.bytes - s->offset;
        PV_TRY(pv_tail_cut(&log->segment, s->offset, err));
    }
    return 0;
}

/* The leaf hashes beside one segment, from the first wrong one on. */
static int mend_segment(struct pv_log *log, uint64_t number, struct pv_log_recovery *ret,
                        struct pv_err *err)
{
    char name[PV_LOG_SEGMENT_NAME_MAX];
    struct pv_log_entry entry;
    uint64_t first = number * PV_LOG_SEGMENT_ENTRIES, end = first + PV_LOG_SEGMENT_ENTRIES;
    pv_autobuf struct pv_buf want, have;
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    struct pv_err ignored = PV_ERR_INIT;
    pv_buf_init(&want, PV_LOG_SEGMENT_ENTRIES * PV_HASH_BYTES);
    pv_buf_init(&have, PV_LOG_SEGMENT_ENTRIES * PV_HASH_BYTES);
    snprintf(name, sizeof name, PV_LOG_LEAVES_FORMAT, (uintmax_t)number);
    PV_TRY(pv_log_reader_open(&r, log->dir_fd, first, err));
    for (uint64_t i = first; i < end && i < log->tree.size; i++) {
        uint8_t leaf[PV_HASH_BYTES];
        int rc = pv_log_reader_next(r, &entry, err);
        PV_TRY(rc);
        if (rc == 0)
            return pv_refuse(err, EBUSY, "the log changed while it was opened");
        pv_leaf_hash(entry.bytes, entry.len, leaf);
        pv_buf_raw(&want, leaf, sizeof leaf);
    }
    PV_TRY(pv_buf_check(&want, "leaf hashes", err));
    int there = pv_read_file_at(log->dir_fd, name, &have, &ignored);
    size_t good = 0;
    while (good < want.len && good + PV_HASH_BYTES <= have.len &&
           memcmp(want.data + good, have.data + good, PV_HASH_BYTES) == 0)
        good += PV_HASH_BYTES;
    if (there == 0 && good == want.len && have.len == want.len)
        return 0;
    struct pv_tail leaves;
    PV_TRY(pv_tail_open(&leaves, log->dir_fd, name, err));
    int rc = pv_tail_cut(&leaves, good, err);
    if (rc == 0 && want.len > good)
        rc = pv_tail_append(&leaves, want.data + good, want.len - good, err);
    pv_tail_close(&leaves);
    ret->rebuilt_leaves += (want.len - good) / PV_HASH_BYTES;
    return rc;
}

/* Stored leaf hashes are evidence of which entry was edited, so they are mended only here, after
 * the root was found right. */
static int mend_leaves(const struct scan *s, struct pv_log_recovery *ret, struct pv_err *err)
{
    struct pv_log *log = s->log;
    for (uint64_t n = s->journal / PV_LOG_SEGMENT_ENTRIES; n <= s->segment; n++)
        PV_TRY(mend_segment(log, n, ret, err));
    return 0;
}

/* The rest of a rotation that was cut short, once the log is whole. */
static int finish_rotation(struct pv_log *log, struct pv_err *err)
{
    /* The old key cannot sign that checkpoint again, should it be lost. */
    PV_TRY(pv_tail_sync(&log->checkpoints, err));
    PV_TRY(pv_rotations_add(log->dir_fd, &log->signer.key, log->change.data, log->change.len, err));
    PV_TRY(pv_log_key_settle(log->key_dir_fd, true, err));
    log->signer = log->next;
    pv_note_signer_done(&log->next);
    return 0;
}

int pv_log_recover(struct pv_log *log, pv_log_scan_fn scan, void *ctx, struct pv_log_recovery *ret,
                   struct pv_err *err)
{
    struct pv_checkpoint checkpoint;
    struct pv_log_recovery found = {0};
    bool have_checkpoint = false;
    memset(&checkpoint, 0, sizeof checkpoint);
    PV_TRY(last_checkpoint(log, &checkpoint, &have_checkpoint, err));
    struct scan s = {.log = log, .checkpoint = &checkpoint};
    uint64_t last;
    int rc = pv_log_journal(log->dir_fd, &log->oldest_segment, &last, err);
    if (rc < 0 && rc != -ENOENT)
        return rc;
    s.journal = log->oldest_segment * PV_LOG_SEGMENT_ENTRIES;
    PV_TRY(pv_log_detached(log->dir_fd, &log->detached, err));
    log->removed = pv_detached_kept(log->dir_fd, log->detached);
    PV_TRY(pv_tiles_new(&log->tiles, log->dir_fd, err));
    PV_TRY(start_at_journal(&s, err));
    if (log->detached && s.from == 0)
        return pv_refuse(err, EBADMSG,
                         "the log's tiles do not give the root that its checkpoint signs, and its "
                         "first %ju entries are in archives: 'provost verify' names what was "
                         "changed",
                         (uintmax_t)log->detached);
    PV_TRY(scan_entries(&s, scan, ctx, err));
    PV_TRY(mend_leaves(&s, &found, err));
    PV_TRY(cut_tail(&s, &found, err));
    if (log->tree.size < s.journal)
        return pv_refuse(err, EBADMSG, "the log's journal begins behind its last entry");
    PV_TRY(pv_tiles_start(log->tiles, err));
    found.rotated = log->change.len > 0;
    if (found.rotated)
        PV_TRY(finish_rotation(log, err));
    log->written_size = found.size = log->tree.size;
    log->signed_size = found.checkpointed_size = checkpoint.size;
    found.scanned_from = s.from;
    found.created = !have_checkpoint && found.size == 0;
    *ret = found;
    return 0;
}
