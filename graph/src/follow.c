/* Follows the log: entries, and the checkpoints that cover them. */
#include "db.h"

#include "pv/archive.h"
#include "pv/graph_follow.h"
#include "pv/log_reader.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct pv_follow {
    struct pv_stitch *s; /* borrowed */
    struct pv_log_reader *log;
    struct pv_checkpoint_reader *checkpoints;
    int dir_fd;
    uint8_t note[PV_NOTE_MAX]; /* a checkpoint that is ahead of the entries read */
    size_t note_len;
};

/* Where a new graph begins: at the first entry, unless old ones are in archives that cannot be
 * read; then behind them. */
static int find_beginning(int log_dir_fd, uint64_t *ret, struct pv_err *err)
{
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    struct pv_log_entry e;
    struct pv_err ignored = PV_ERR_INIT;
    uint64_t detached, held = 0;
    PV_TRY(pv_log_detached(log_dir_fd, &detached, err));
    *ret = 0;
    if (detached == 0)
        return 0;
    PV_TRY(pv_log_reader_open(&r, log_dir_fd, 0, err));
    while (held < detached && pv_log_reader_next(r, &e, &ignored) == 1)
        held++;
    *ret = held == detached ? 0 : detached;
    return 0;
}

static int begin(struct pv_follow *f, int log_dir_fd, struct pv_err *err)
{
    uint64_t first;
    PV_TRY(find_beginning(log_dir_fd, &first, err));
    pv_stitch_begin_at(f->s, first);
    return pv_log_reader_open(&f->log, log_dir_fd, first, err);
}

/* Opens the log at the entry after the graph's last, which must be the graph's last: after a crash
 * of the machine the log may have lost entries that the graph has seen, and grown again. */
static int open_log(struct pv_follow *f, int log_dir_fd, struct pv_err *err)
{
    struct pv_log_entry e;
    bool same = false;
    uint64_t next = pv_stitch_next_seq(f->s);
    if (next == 0)
        return begin(f, log_dir_fd, err);
    PV_TRY(pv_log_reader_open(&f->log, log_dir_fd, next - 1, err));
    int rc = pv_log_reader_next(f->log, &e, err);
    PV_TRY(rc);
    if (rc == 1)
        PV_TRY(pv_stitch_is_last(f->s, e.bytes, e.len, &same, err));
    if (!same)
        return pv_refuse(err, ESTALE,
                         "the graph's last event, e%llu, is not what the log has there",
                         (unsigned long long)next - 1);
    return 0;
}

int pv_follow_open(struct pv_follow **ret, struct pv_stitch *s, int log_dir_fd, struct pv_err *err)
{
    struct pv_follow *f = calloc(1, sizeof *f);
    if (!f)
        return pv_fail(err, ENOMEM, "allocate the log's follower");
    f->s = s;
    f->dir_fd = -1;
    int rc = open_log(f, log_dir_fd, err);
    if (rc == 0) {
        f->dir_fd = dup(log_dir_fd);
        if (f->dir_fd < 0)
            rc = pv_fail(err, errno, "duplicate the log directory");
    }
    if (rc < 0) {
        pv_follow_close(f);
        return rc;
    }
    *ret = f;
    return 0;
}

void pv_follow_close(struct pv_follow *f)
{
    if (!f)
        return;
    pv_log_reader_free(f->log);
    pv_checkpoint_reader_free(f->checkpoints);
    if (f->dir_fd >= 0)
        (void)close(f->dir_fd);
    free(f);
}

/* Size and root out of the text "ORIGIN\nSIZE\nBASE64(ROOT)\n". The signature is for those who hold
 * the key; here the note is only stored. */
static bool parse_checkpoint(const uint8_t *note, size_t len, uint64_t *ret_size,
                             uint8_t ret_root[PV_HASH_BYTES])
{
    const char *end = (const char *)note + len;
    const char *size = memchr(note, '\n', len);
    const char *root = size ? memchr(size + 1, '\n', (size_t)(end - size - 1)) : NULL;
    const char *stop = root ? memchr(root + 1, '\n', (size_t)(end - root - 1)) : NULL;
    size_t n = 0;
    if (!stop || root - size > 21 || root - size < 2)
        return false;
    *ret_size = 0;
    for (const char *p = size + 1; p < root; p++) {
        if (*p < '0' || *p > '9')
            return false;
        *ret_size = *ret_size * 10 + (uint64_t)(*p - '0');
    }
    return sodium_base642bin(ret_root, PV_HASH_BYTES, root + 1, (size_t)(stop - root - 1), NULL, &n,
                             NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
           n == PV_HASH_BYTES;
}

/* 1 = f->note holds the next checkpoint, 0 = none there. */
static int next_note(struct pv_follow *f, struct pv_err *err)
{
    const uint8_t *note = NULL;
    size_t len = 0;
    if (f->note_len)
        return 1;
    if (!f->checkpoints) {
        int rc = pv_checkpoint_reader_open(&f->checkpoints, f->dir_fd, 0, err);
        if (rc == -ENOENT)
            return 0;
        PV_TRY(rc);
    }
    int rc = pv_checkpoint_reader_next(f->checkpoints, &note, &len, err);
    if (rc <= 0)
        return rc;
    if (len == 0 || len > sizeof f->note)
        return pv_refuse(err, EBADMSG, "a checkpoint of the log has a wrong length");
    memcpy(f->note, note, len);
    f->note_len = len;
    return 1;
}

static int take_checkpoints(struct pv_follow *f, struct pv_err *err)
{
    int rc;
    while ((rc = next_note(f, err)) == 1) {
        uint64_t size = 0;
        uint8_t root[PV_HASH_BYTES];
        if (!parse_checkpoint(f->note, f->note_len, &size, root))
            return pv_refuse(err, EBADMSG, "a checkpoint of the log is malformed");
        if (size > pv_stitch_next_seq(f->s))
            return 0;
        PV_TRY(pv_stitch_checkpoint(f->s, size, root, (const char *)f->note, f->note_len, err));
        f->note_len = 0;
    }
    return rc;
}

/* What the log has let go of will never come. */
static int check_held(const struct pv_follow *f, struct pv_err *err)
{
    uint64_t detached, next = pv_stitch_next_seq(f->s);
    PV_TRY(pv_log_detached(f->dir_fd, &detached, err));
    if (next >= detached)
        return 0;
    return pv_refuse(err, ESTALE, "e%llu went into an archive before the graph had it",
                     (unsigned long long)next);
}

int pv_follow_step(struct pv_follow *f, unsigned max, struct pv_err *err)
{
    struct pv_log_entry e;
    unsigned n = 0;
    int rc = 0;
    while (n < max && (rc = pv_log_reader_next(f->log, &e, err)) == 1) {
        PV_TRY(pv_stitch_entry(f->s, e.seq, e.bytes, e.len, err));
        n++;
    }
    PV_TRY(rc);
    if (n == 0)
        PV_TRY(check_held(f, err));
    PV_TRY(take_checkpoints(f, err));
    return (int)n;
}

uint64_t pv_follow_log_size(const struct pv_follow *f)
{
    struct pv_err ignored = PV_ERR_INIT;
    uint64_t written = 0, read = pv_stitch_next_seq(f->s);

    return pv_log_written(f->dir_fd, &written, &ignored) == 0 && written > read ? written : read;
}
