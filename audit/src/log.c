#include "log_state.h"

#include "keys.h"
#include "log_files.h"
#include "rotations.h"

#include "pv/clock.h"
#include "pv/io.h"
#include "pv/own.h"
#include "pv/tile.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum {
    BATCH_BYTES_MAX = 1 << 20,
    PUBLISH_INTERVAL_NS = 1000000000,
    KEPT_SEGMENTS = 1,    /* of the journal, beside the one being written: for those who follow */
    REMOVED_A_COMMIT = 4, /* detached bundles */
    REMOVED_A_PUBLISH = 256,
};
PV_DEFINE_CLEANUP(struct pv_log, pv_log_free)

void pv_log_free(struct pv_log *log)
{
    if (!log)
        return;
    pv_tiles_free(log->tiles);
    pv_tail_close(&log->segment);
    pv_tail_close(&log->leaves);
    pv_tail_close(&log->checkpoints);
    pv_buf_done(&log->batch);
    pv_buf_done(&log->batch_leaves);
    pv_buf_done(&log->latest);
    pv_buf_done(&log->change);
    pv_note_signer_done(&log->signer);
    pv_note_signer_done(&log->next);
    if (log->key_dir_fd >= 0)
        (void)close(log->key_dir_fd);
    if (log->dir_fd >= 0)
        (void)close(log->dir_fd);
    free(log);
}

static struct pv_log *new_log(void)
{
    struct pv_log *log = calloc(1, sizeof *log);
    if (!log)
        return NULL;
    log->dir_fd = log->key_dir_fd = log->segment.fd = log->leaves.fd = log->checkpoints.fd = -1;
    pv_buf_init(&log->batch, BATCH_BYTES_MAX);
    pv_buf_init(&log->batch_leaves, BATCH_BYTES_MAX);
    pv_buf_init(&log->latest, PV_NOTE_MAX);
    pv_buf_init(&log->change, PV_NOTE_MAX);
    return log;
}

static int open_segment_files(const struct pv_log *log, uint64_t number, struct pv_tail *segment,
                              struct pv_tail *leaves, struct pv_err *err)
{
    char name[PV_LOG_SEGMENT_NAME_MAX];
    snprintf(name, sizeof name, PV_LOG_SEGMENT_FORMAT, (uintmax_t)number);
    PV_TRY(pv_tail_open(segment, log->dir_fd, name, err));
    snprintf(name, sizeof name, PV_LOG_LEAVES_FORMAT, (uintmax_t)number);
    PV_TRY(pv_tail_open(leaves, log->dir_fd, name, err));
    pv_autoclose int dir =
        openat(log->dir_fd, PV_LOG_JOURNAL_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (dir < 0 || fsync(dir) < 0)
        return pv_fail(err, errno, "sync the log's journal");
    return 0;
}

int pv_log_open_segment(struct pv_log *log, uint64_t number, struct pv_err *err)
{
    struct pv_tail segment = {.fd = -1}, leaves = {.fd = -1};
    int rc = open_segment_files(log, number, &segment, &leaves, err);
    if (rc < 0) {
        pv_tail_close(&segment);
        pv_tail_close(&leaves);
        return rc;
    }
    pv_tail_close(&log->segment);
    pv_tail_close(&log->leaves);
    log->segment = segment;
    log->leaves = leaves;
    log->segment_number = number;
    return 0;
}

static bool log_exists(int dir_fd)
{
    struct stat st;
    return fstatat(dir_fd, PV_LOG_LATEST, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
           (fstatat(dir_fd, PV_LOG_CHECKPOINTS, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size) ||
           (fstatat(dir_fd, PV_LOG_JOURNAL_DIR "/000000", &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_size);
}

/* For those who read at the same time: a log without a writer will not grow. Where there are no
 * locks, they take it for such a one. */
static void show_writer(const struct pv_tail *t)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    (void)fcntl(t->fd, F_OFD_SETLK, &lock);
}

int pv_log_open(struct pv_log **ret, int dir_fd, int key_dir_fd, pv_log_scan_fn scan, void *ctx,
                struct pv_log_recovery *ret_recovery, struct pv_err *err)
{
    PV_TRY(pv_crypto_init(err));
    PV_CLEANUP(pv_log_free) struct pv_log *log = new_log();
    if (!log)
        return pv_fail(err, ENOMEM, "allocate the log");
    log->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    log->key_dir_fd = fcntl(key_dir_fd, F_DUPFD_CLOEXEC, 3);
    if (log->dir_fd < 0 || log->key_dir_fd < 0)
        return pv_fail(err, errno, "duplicate the log directory");
    PV_TRY(pv_log_key_load(&log->signer, key_dir_fd, !log_exists(dir_fd), err));
    if (mkdirat(dir_fd, PV_LOG_JOURNAL_DIR, 0750) < 0 && errno != EEXIST)
        return pv_fail(err, errno, "create the log's journal");
    PV_TRY(pv_tail_open(&log->checkpoints, dir_fd, PV_LOG_CHECKPOINTS, err));
    show_writer(&log->checkpoints);
    if (fsync(dir_fd) < 0)
        return pv_fail(err, errno, "sync the log directory");
    PV_TRY(pv_log_recover(log, scan, ctx, ret_recovery, err));
    PV_TRY(pv_log_key_publish(&log->signer.key, key_dir_fd, err));
    PV_TRY(pv_log_key_publish(&log->signer.key, dir_fd, err));
    *ret = PV_TAKE_PTR(log);
    return 0;
}

void pv_log_before_drop(struct pv_log *log, int (*fn)(void *ctx, struct pv_err *err), void *ctx)
{
    log->before_drop = fn;
    log->before_drop_ctx = ctx;
}

bool pv_log_has_room(const struct pv_log *log)
{
    return log->tree.size / PV_LOG_SEGMENT_ENTRIES == log->segment_number &&
           log->batch.len + 2 + PV_LOG_ENTRY_MAX <= BATCH_BYTES_MAX &&
           log->batch_leaves.len + PV_HASH_BYTES <= BATCH_BYTES_MAX;
}

int pv_log_append(struct pv_log *log, const void *event, size_t len,
                  const uint8_t tag[PV_TAG_BYTES], struct pv_err *err)
{
    size_t total = len + PV_TAG_BYTES, framed = 2 + total;
    if (len == 0 || len > PV_EVENT_MAX)
        return pv_refuse(err, EMSGSIZE, "an event of %zu bytes cannot be logged", len);
    if (log->tree.size / PV_LOG_SEGMENT_ENTRIES != log->segment_number ||
        log->batch.len + framed > BATCH_BYTES_MAX ||
        log->batch_leaves.len + PV_HASH_BYTES > BATCH_BYTES_MAX)
        return pv_refuse(err, EAGAIN, "the batch of events is full");
    size_t start = log->batch.len;
    pv_buf_u16(&log->batch, (uint16_t)total);
    pv_buf_raw(&log->batch, event, len);
    pv_buf_raw(&log->batch, tag, PV_TAG_BYTES);
    uint8_t leaf[PV_HASH_BYTES];
    if (!log->batch.failed) {
        pv_leaf_hash(log->batch.data + start + 2, total, leaf);
        pv_buf_raw(&log->batch_leaves, leaf, sizeof leaf);
    }
    if (log->batch.failed || log->batch_leaves.failed) {
        log->batch.len = start;
        log->batch.failed = log->batch_leaves.failed = false;
        return pv_fail(err, ENOMEM, "add an event to the batch");
    }
    pv_frontier_add(&log->tree, leaf);
    return 0;
}

static int flush_buf(struct pv_tail *t, struct pv_buf *b, struct pv_err *err)
{
    if (b->len == 0)
        return 0;
    pv_tail_reserve(t);
    PV_TRY(pv_tail_append(t, b->data, b->len, err));
    pv_buf_reset(b);
    return 0;
}

int pv_log_write(struct pv_log *log, struct pv_err *err)
{
    PV_TRY(flush_buf(&log->segment, &log->batch, err));
    log->written_size = log->tree.size;
    PV_TRY(flush_buf(&log->leaves, &log->batch_leaves, err));
    uint64_t number = log->written_size / PV_LOG_SEGMENT_ENTRIES;
    if (number == log->segment_number)
        return 0;
    PV_TRY(pv_tail_cut(&log->segment, log->segment.bytes, err)); /* gives back what was reserved */
    PV_TRY(pv_tail_cut(&log->leaves, log->leaves.bytes, err));
    PV_TRY(pv_tail_sync(&log->segment, err));
    return pv_log_open_segment(log, number, err);
}

/* Segments whose entries all stand in durable bundles are not needed any more. */
static int drop_segments(struct pv_log *log, struct pv_err *err)
{
    char name[PV_LOG_SEGMENT_NAME_MAX];
    bool asked = false;
    while (log->oldest_segment + KEPT_SEGMENTS < log->segment_number &&
           pv_tiles_durable(log->tiles) / PV_LOG_SEGMENT_ENTRIES > log->oldest_segment) {
        if (!asked && log->before_drop)
            PV_TRY(log->before_drop(log->before_drop_ctx, err));
        asked = true;
        snprintf(name, sizeof name, PV_LOG_LEAVES_FORMAT, (uintmax_t)log->oldest_segment);
        if (unlinkat(log->dir_fd, name, 0) < 0 && errno != ENOENT)
            return pv_fail(err, errno, "remove '%s'", name);
        snprintf(name, sizeof name, PV_LOG_SEGMENT_FORMAT, (uintmax_t)log->oldest_segment);
        if (unlinkat(log->dir_fd, name, 0) < 0)
            return pv_fail(err, errno, "remove '%s'", name);
        log->oldest_segment++;
    }
    return 0;
}

/* The static files may lag behind: as long as they do, the journal keeps what they lack. */
static int tend_tiles(struct pv_log *log, bool published, struct pv_err *err)
{
    PV_TRY(pv_tiles_advance(log->tiles, log->signed_size, err));
    PV_TRY(pv_tiles_sync(log->tiles, published && !log->ending, err));
    int rc = pv_log_tidy(log, published ? REMOVED_A_PUBLISH : REMOVED_A_COMMIT, err);
    PV_TRY(rc);
    return drop_segments(log, err);
}

/* A full disk is no failure of the commit, which is done by now. */
static int tend_or_wait(struct pv_log *log, struct pv_err *err)
{
    struct pv_err why = PV_ERR_INIT;
    int rc = tend_tiles(log, false, &why);
    if (rc == 0 || rc == -ENOSPC || rc == -EDQUOT)
        return 0;
    if (err)
        *err = why;
    return rc;
}

int pv_log_commit(struct pv_log *log, struct pv_err *err)
{
    PV_TRY(pv_log_write(log, err));
    PV_TRY(pv_tail_sync(&log->segment, err));
    /* The checkpoint before this one: its own sync was put off until here. */
    PV_TRY(pv_tail_sync(&log->checkpoints, err));
    if (log->signed_size == log->tree.size)
        return 0;
    uint8_t root[PV_HASH_BYTES];
    pv_autobuf struct pv_buf framed;
    pv_buf_init(&framed, PV_NOTE_MAX);
    pv_frontier_root(&log->tree, root);
    pv_buf_u16(&framed, 0);
    PV_TRY(pv_checkpoint_sign(&log->signer, log->rotating ? &log->next : NULL, log->tree.size, root,
                              &framed, err));
    framed.data[0] = (uint8_t)((framed.len - 2) >> 8);
    framed.data[1] = (uint8_t)(framed.len - 2);
    PV_TRY(pv_tail_append(&log->checkpoints, framed.data, framed.len, err));
    log->signed_size = log->tree.size;
    pv_buf_reset(&log->latest);
    pv_buf_raw(&log->latest, framed.data + 2, framed.len - 2);
    log->latest_stale = true;
    return tend_or_wait(log, err);
}

int pv_log_rotate_begin(struct pv_log *log, uint8_t ret_public_key[32], struct pv_err *err)
{
    if (!log->rotating) {
        PV_TRY(pv_log_key_room(log->key_dir_fd, err));
        PV_TRY(pv_log_key_next(&log->next, log->key_dir_fd, log->signer.key.name, err));
    }
    log->rotating = true;
    memcpy(ret_public_key, log->next.key.public_key, 32);
    return 0;
}

int pv_log_rotate_record(struct pv_log *log, struct pv_err *err)
{
    /* The checkpoint that both keys signed is durable before anything is said of it. */
    PV_TRY(pv_tail_sync(&log->checkpoints, err));
    PV_TRY(pv_rotations_add(log->dir_fd, &log->signer.key, log->latest.data, log->latest.len, err));
    PV_TRY(pv_log_key_publish(&log->next.key, log->key_dir_fd, err));
    return pv_log_key_publish(&log->next.key, log->dir_fd, err);
}

int pv_log_rotate_end(struct pv_log *log, struct pv_err *err)
{
    PV_TRY(pv_log_key_settle(log->key_dir_fd, true, err));
    pv_note_signer_done(&log->signer);
    log->signer = log->next;
    pv_note_signer_done(&log->next);
    log->rotating = false;
    return 0;
}

int pv_log_detach(struct pv_log *log, uint64_t end, struct pv_err *err)
{
    char text[32];
    if (end <= log->detached || end % PV_TILE_WIDTH ||
        end / PV_LOG_SEGMENT_ENTRIES >= log->oldest_segment)
        return pv_refuse(err, EINVAL, "entries up to %ju cannot be detached", (uintmax_t)end);
    int n = snprintf(text, sizeof text, "%ju\n", (uintmax_t)end);
    /* The event that says so is durable; its checkpoint must be, before anything goes. */
    PV_TRY(pv_tail_sync(&log->checkpoints, err));
    PV_TRY(pv_replace_file_at(log->dir_fd, PV_LOG_DETACHED, text, (size_t)n, 0644, err));
    log->detached = end;
    return 0;
}

int pv_log_tidy(struct pv_log *log, unsigned max, struct pv_err *err)
{
    char path[PV_TILE_PATH_MAX];
    for (; max > 0 && log->removed < log->detached; max--) {
        uint64_t n = log->removed / PV_TILE_WIDTH;
        pv_tile_path(PV_TILE_ENTRIES, n, PV_TILE_WIDTH, path);
        if (unlinkat(log->dir_fd, path, 0) < 0 && errno != ENOENT)
            return pv_fail(err, errno, "remove '%s'", path);
        log->removed += PV_TILE_WIDTH;
        *strrchr(path, '/') = 0;
        if (n % 1000 == 999) /* the directory of the thousand, unless something else is in it */
            (void)unlinkat(log->dir_fd, path, AT_REMOVEDIR);
    }
    return log->removed < log->detached;
}

void pv_log_ends(struct pv_log *log)
{
    log->ending = true;
}

int pv_log_publish(struct pv_log *log, bool force, struct pv_err *err)
{
    uint64_t now = pv_now_mono_ns();
    if (!log->latest_stale)
        return force ? tend_tiles(log, true, err) : 0;
    if (!force && now - log->published_ns < PUBLISH_INTERVAL_NS)
        return 0;
    PV_TRY(pv_buf_check(&log->latest, "checkpoint", err));
    log->published_ns = now; /* also of an attempt: a full disk is asked once a second */
    /* What is published outlives a power failure, so the checkpoint behind it must. */
    PV_TRY(pv_tail_sync(&log->checkpoints, err));
    PV_TRY(pv_tiles_publish(log->tiles, log->signed_size, err));
    PV_TRY(tend_tiles(log, true, err));
    PV_TRY(pv_replace_file_at(log->dir_fd, PV_LOG_LATEST, log->latest.data, log->latest.len, 0644,
                              err));
    log->latest_stale = false;
    return 0;
}

uint64_t pv_log_size(const struct pv_log *log)
{
    return log->tree.size;
}

uint64_t pv_log_written_size(const struct pv_log *log)
{
    return log->written_size;
}

uint64_t pv_log_signed_size(const struct pv_log *log)
{
    return log->signed_size;
}

void pv_log_root(const struct pv_log *log, uint8_t out[PV_HASH_BYTES])
{
    pv_frontier_root(&log->tree, out);
}

const struct pv_note_key *pv_log_key(const struct pv_log *log)
{
    return &log->signer.key;
}
