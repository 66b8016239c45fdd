#include "pv/witness.h"

#include "note_parts.h"

#include "pv/io.h"
#include "pv/own.h"
#include "pv/rotations.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>

#define SECRET_FILE "witness.key"
#define SEEN_FILE "checkpoint"
#define CONFLICT_FILE "conflict"
#define CONFLICT_SEEN_FILE "conflict.seen"
#define ROLLBACK_FILE "rollback"
#define ROLLBACK_SEEN_FILE "rollback.seen"
#define LOG_KEY_FILE "log.pub"
#define LOCK_FILE "lock"

enum { ROLLBACK_S = 3, LOG_KEY_MAX = 8192 }; /* a log publishes once a second */

struct pv_witness {
    int dir_fd;                 /* owned */
    int lock_fd;                /* owned; holds the lock */
    struct pv_note_key log_key; /* the one in force, without those before it */
    struct pv_note_key given;   /* with those: what they sign is not believed, but told from a
                                   stranger's */
    struct pv_cosigner cosigner;
    struct pv_checkpoint seen; /* size 0 when nothing was cosigned yet */
    uint64_t seen_s;           /* when it was cosigned last */
    uint64_t behind_size; /* what was cosigned when the log first published less; 0: it does not */
    uint64_t behind_s;    /* when that was */
    struct pv_buf note;   /* it, with the cosignature; empty when there is none */
};

void pv_witness_free(struct pv_witness *w)
{
    if (!w)
        return;
    pv_cosigner_done(&w->cosigner);
    pv_buf_done(&w->note);
    if (w->lock_fd >= 0)
        (void)close(w->lock_fd);
    if (w->dir_fd >= 0)
        (void)close(w->dir_fd);
    free(w);
}

static int lock(struct pv_witness *w, struct pv_err *err)
{
    w->lock_fd = openat(w->dir_fd, LOCK_FILE, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (w->lock_fd < 0)
        return pv_fail(err, errno, "open the witness's '%s'", LOCK_FILE);
    if (flock(w->lock_fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? pv_refuse(err, EBUSY, "another witness uses this directory")
                                    : pv_fail(err, errno, "lock the witness's directory");
    return 0;
}

/* A memory that cannot be believed ends this witness: one that forgets would sign a fork. */
static int recall(struct pv_witness *w, struct pv_err *err)
{
    struct pv_err why = PV_ERR_INIT;
    int rc = pv_read_file_at(w->dir_fd, SEEN_FILE, &w->note, &why);
    if (rc == -ENOENT)
        return 0;
    if (rc == 0)
        rc = pv_cosignature_check(&w->cosigner.key, w->note.data ? w->note.data : (uint8_t *)"",
                                  w->note.len, &w->seen_s, &why);
    if (rc == 0)
        rc = pv_checkpoint_claims(w->note.data, w->note.len, &w->seen, &why);
    if (rc == 0 && strcmp(w->seen.origin, w->log_key.name) != 0)
        return pv_refuse(err, EINVAL, "this directory is the witness of '%s', not of '%s'",
                         w->seen.origin, w->log_key.name);
    if (rc < 0)
        return pv_refuse(err, rc == -EMSGSIZE ? EBADMSG : rc,
                         "what this witness signed last (the file '%s') is damaged: %s", SEEN_FILE,
                         why.text);
    return 0;
}

/* A key that the log changed to is remembered: those before it may have been stolen since. The one
 * given is taken when it is newer. */
static int recall_key(struct pv_witness *w, const struct pv_note_key *given, struct pv_err *err)
{
    struct pv_note_key kept;
    struct pv_err why = PV_ERR_INIT;
    pv_autobuf struct pv_buf text;
    pv_buf_init(&text, LOG_KEY_MAX);
    w->log_key = w->given = *given;
    w->log_key.n_older = 0;
    int rc = pv_read_file_at(w->dir_fd, LOG_KEY_FILE, &text, &why);
    if (rc == -ENOENT)
        return 0;
    if (rc == 0)
        rc = text.len ? pv_note_key_parse((const char *)text.data, text.len, &kept, &why)
                      : pv_refuse(&why, EBADMSG, "it is empty");
    if (rc < 0)
        return pv_refuse(err, rc, "the log's key that this witness remembers ('%s'): %s",
                         LOG_KEY_FILE, why.text);
    if (strcmp(kept.name, given->name) != 0)
        return pv_refuse(err, EINVAL, "this directory is the witness of '%s', not of '%s'",
                         kept.name, given->name);
    if (!pv_note_key_knows(given, kept.public_key))
        w->log_key = kept;
    return 0;
}

static int keep_key(struct pv_witness *w, const struct pv_note_key *key, struct pv_err *err)
{
    pv_autobuf struct pv_buf text;
    struct pv_note_key one = *key;
    pv_buf_init(&text, LOG_KEY_MAX);
    one.n_older = 0;
    pv_note_key_print(&one, &text);
    pv_buf_raw(&text, "\n", 1);
    PV_TRY(pv_buf_check(&text, "log key", err));
    PV_TRY(pv_replace_file_at(w->dir_fd, LOG_KEY_FILE, text.data, text.len, 0644, err));
    w->log_key = one;
    return 0;
}

int pv_witness_open(struct pv_witness **ret, int dir_fd, const struct pv_note_key *log_key,
                    struct pv_err *err)
{
    pv_auto_witness struct pv_witness *w = calloc(1, sizeof *w);
    if (!w)
        return pv_fail(err, ENOMEM, "allocate a witness");
    w->dir_fd = w->lock_fd = -1;
    pv_buf_init(&w->note, PV_NOTE_MAX);
    w->dir_fd = fcntl(dir_fd, F_DUPFD_CLOEXEC, 3);
    if (w->dir_fd < 0)
        return pv_fail(err, errno, "duplicate the witness's directory");
    PV_TRY(pv_cosigner_load(&w->cosigner, w->dir_fd, SECRET_FILE, err));
    PV_TRY(lock(w, err));
    PV_TRY(recall_key(w, log_key, err));
    PV_TRY(recall(w, err));
    *ret = PV_TAKE_PTR(w);
    return 0;
}

const struct pv_cosigner_key *pv_witness_key(const struct pv_witness *w)
{
    return &w->cosigner.key;
}

uint64_t pv_witness_size(const struct pv_witness *w)
{
    return w->seen.size;
}

const uint8_t *pv_witness_note(const struct pv_witness *w, size_t *ret_len)
{
    *ret_len = w->note.len;
    return w->note.len ? w->note.data : NULL;
}

static enum pv_witness_answer answer_of(int rc)
{
    return rc == -ENOKEY         ? PV_WITNESS_UNKNOWN_KEY
           : rc == -EKEYREJECTED ? PV_WITNESS_BAD_SIGNATURE
                                 : PV_WITNESS_MALFORMED;
}

static int open_note(const struct pv_witness *w, const void *note, size_t len,
                     struct pv_checkpoint *ret, struct pv_err *err)
{
    const char *text, *lines;
    size_t text_len;
    struct pv_checkpoint claims;
    if (pv_note_split(note, len, &text, &text_len, &lines, err) < 0 ||
        pv_checkpoint_claims(text, text_len, &claims, err) < 0)
        return PV_WITNESS_MALFORMED;
    if (strcmp(claims.origin, w->log_key.name) != 0) {
        (void)pv_refuse(err, ENOENT, "this is no checkpoint of '%s'", w->log_key.name);
        return PV_WITNESS_UNKNOWN_ORIGIN;
    }
    int rc = pv_checkpoint_open(&w->log_key, note, len, ret, err);
    return rc < 0 ? (int)answer_of(rc) : (int)PV_WITNESS_COSIGNED;
}

/* The note and the one cosigned last, of the first time this happened. */
static int keep_evidence(struct pv_witness *w, const char *file, const char *seen_file,
                         const void *note, size_t len, struct pv_err *err)
{
    struct stat st;
    if (fstatat(w->dir_fd, file, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return 0;
    PV_TRY(pv_replace_file_at(w->dir_fd, seen_file, w->note.data, w->note.len, 0644, err));
    return pv_replace_file_at(w->dir_fd, file, note, len, 0644, err);
}

static int refuse_fork(struct pv_witness *w, const void *note, size_t len, uint64_t size,
                       struct pv_err *err)
{
    PV_TRY(keep_evidence(w, CONFLICT_FILE, CONFLICT_SEEN_FILE, note, len, err));
    (void)pv_refuse(err, EBADMSG,
                    "the log was forked: its checkpoint of %" PRIu64
                    " entries contradicts the one of %" PRIu64
                    " that this witness cosigned (both are kept: '%s', '%s')",
                    size, w->seen.size, CONFLICT_FILE, CONFLICT_SEEN_FILE);
    return PV_WITNESS_FORK;
}

static int refuse_rollback(struct pv_witness *w, const void *note, size_t len, uint64_t size,
                           struct pv_err *err)
{
    PV_TRY(keep_evidence(w, ROLLBACK_FILE, ROLLBACK_SEEN_FILE, note, len, err));
    (void)pv_refuse(err, EBADMSG,
                    "the log was rolled back: it publishes %" PRIu64
                    " entries, this witness has cosigned %" PRIu64,
                    size, w->behind_size);
    return PV_WITNESS_ROLLBACK;
}

/* Whether the log's tiles still give what was cosigned, and the note is how that begins. */
static bool is_prefix(const struct pv_witness *w, const struct pv_log_source *source,
                      const struct pv_checkpoint *c)
{
    pv_auto_tree_reader struct pv_tree_reader *r = NULL;
    uint8_t root[PV_HASH_BYTES];
    struct pv_proof proof = {.n = 0};
    struct pv_err ignored = PV_ERR_INIT;
    return c->size > 0 && pv_tree_reader_open_source(&r, source, w->seen.size, &ignored) == 0 &&
           pv_tree_root(r, root, &ignored) == 0 && memcmp(root, w->seen.root, sizeof root) == 0 &&
           pv_tree_consistency(r, c->size, &proof, &ignored) == 0 &&
           pv_proof_is_consistent(&proof, c->size, c->root, w->seen.size, w->seen.root);
}

/* Less is published than was cosigned. Anybody may have brought the newer checkpoint here before
 * the log published it, so this is a rollback only when the log does not catch up. */
static int look_behind(struct pv_witness *w, const struct pv_log_source *source,
                       const struct pv_checkpoint *c, const struct pv_buf *note, uint64_t now_s,
                       struct pv_err *err)
{
    if (is_prefix(w, source, c)) {
        w->behind_size = 0;
        return PV_WITNESS_UNCHANGED;
    }
    if (w->behind_size == 0 || c->size >= w->behind_size) {
        w->behind_size = w->seen.size;
        w->behind_s = now_s;
    }
    if (now_s >= w->behind_s && now_s - w->behind_s >= ROLLBACK_S)
        return refuse_rollback(w, note->data, note->len, c->size, err);
    (void)pv_refuse(err, EBADMSG,
                    "the log publishes %" PRIu64 " entries, this witness has cosigned %" PRIu64
                    ": it was rolled back, unless it catches up",
                    c->size, w->seen.size);
    return PV_WITNESS_BEHIND;
}

/* The note with the log's own signature and, behind it, this witness's; as it will be read again.
 */
static int assemble(const struct pv_witness *w, const void *note, size_t len,
                    const struct pv_buf *mine, struct pv_buf *out, struct pv_err *err)
{
    const char *text, *lines;
    size_t text_len;
    struct pv_checkpoint c;
    uint64_t unused;
    PV_TRY(pv_note_split(note, len, &text, &text_len, &lines, err));
    pv_buf_raw(out, text, text_len);
    pv_buf_raw(out, "\n", 1);
    PV_TRY(pv_note_copy_signatures(&w->log_key, note, len, out, err));
    pv_buf_raw(out, mine->data, mine->len);
    PV_TRY(pv_buf_check(out, "cosigned checkpoint", err));
    PV_TRY(pv_checkpoint_open(&w->log_key, out->data, out->len, &c, err));
    return pv_cosignature_check(&w->cosigner.key, out->data, out->len, &unused, err);
}

static int sign_and_remember(struct pv_witness *w, const struct pv_checkpoint *c, const void *note,
                             size_t len, uint64_t now_s, struct pv_buf *ret_line,
                             struct pv_err *err)
{
    const char *text, *lines;
    size_t text_len;
    pv_autobuf struct pv_buf line, whole;
    pv_buf_init(&line, PV_NOTE_MAX);
    pv_buf_init(&whole, PV_NOTE_MAX);
    PV_TRY(pv_note_split(note, len, &text, &text_len, &lines, err));
    PV_TRY(pv_cosign(&w->cosigner, now_s, text, text_len, &line, err));
    PV_TRY(assemble(w, note, len, &line, &whole, err));
    /* Remembered durably first: an answer that was given is never forgotten. */
    PV_TRY(pv_replace_file_at(w->dir_fd, SEEN_FILE, whole.data, whole.len, 0644, err));
    w->seen = *c;
    w->seen_s = now_s;
    pv_buf_reset(&w->note);
    pv_buf_raw(&w->note, whole.data, whole.len);
    PV_TRY(pv_buf_check(&w->note, "cosigned checkpoint", err));
    pv_buf_raw(ret_line, line.data, line.len);
    return pv_buf_check(ret_line, "cosignature", err);
}

/* Whether the proof shows that the new checkpoint begins with the one cosigned last. */
static bool is_consistent(const struct pv_witness *w, const struct pv_checkpoint *c,
                          const struct pv_proof *proof)
{
    uint8_t empty[PV_HASH_BYTES];
    if (c->size == 0) {
        pv_sha256("", 0, empty);
        return proof->n == 0 && memcmp(c->root, empty, sizeof empty) == 0;
    }
    return w->seen.size == 0
               ? proof->n == 0
               : pv_proof_is_consistent(proof, w->seen.size, w->seen.root, c->size, c->root);
}

int pv_witness_add(struct pv_witness *w, uint64_t old_size, const struct pv_proof *proof,
                   const void *note, size_t len, uint64_t now_s, struct pv_buf *ret_line,
                   struct pv_err *err)
{
    struct pv_checkpoint c;
    int rc = open_note(w, note, len, &c, err);
    if (rc != PV_WITNESS_COSIGNED)
        return rc;
    if (old_size > c.size) {
        (void)pv_refuse(err, EINVAL, "the old size is larger than the checkpoint's");
        return PV_WITNESS_MALFORMED;
    }
    if (old_size != w->seen.size) {
        (void)pv_refuse(err, EINVAL, "the last checkpoint cosigned has %" PRIu64 " entries",
                        w->seen.size);
        return PV_WITNESS_OTHER_SIZE;
    }
    if (c.size == w->seen.size && w->note.len && memcmp(c.root, w->seen.root, sizeof c.root) != 0)
        return refuse_fork(w, note, len, c.size, err);
    if (!is_consistent(w, &c, proof)) {
        (void)pv_refuse(err, EBADMSG,
                        "the proof does not show that the log still begins with the %" PRIu64
                        " entries cosigned before",
                        w->seen.size);
        return PV_WITNESS_BAD_PROOF;
    }
    PV_TRY(sign_and_remember(w, &c, note, len, now_s, ret_line, err));
    return PV_WITNESS_COSIGNED;
}

/* The proof out of the log's tiles, which must first give the root that the log signs. */
static int prove(const struct pv_witness *w, const struct pv_log_source *source,
                 const struct pv_checkpoint *c, struct pv_proof *ret, struct pv_err *err)
{
    pv_auto_tree_reader struct pv_tree_reader *r = NULL;
    uint8_t root[PV_HASH_BYTES];
    ret->n = 0;
    int rc = pv_tree_reader_open_source(&r, source, c->size, err);
    if (rc == 0)
        rc = pv_tree_root(r, root, err);
    if (rc == 0 && memcmp(root, c->root, sizeof root) != 0)
        rc = pv_refuse(err, EBADMSG, "the log's tiles do not give the root that it signs");
    if (rc == 0 && w->seen.size)
        rc = pv_tree_consistency(r, w->seen.size, ret, err);
    if (rc == -EBADMSG)
        return PV_WITNESS_BAD_TILE;
    return rc < 0 ? rc : (int)PV_WITNESS_COSIGNED;
}

/* From before the key was changed: the log as it was then. */
static bool is_by_older_key(const struct pv_witness *w, const struct pv_buf *note,
                            struct pv_checkpoint *ret)
{
    struct pv_err ignored = PV_ERR_INIT;
    return pv_checkpoint_open(&w->given, note->data, note->len, ret, &ignored) == 0 &&
           ret->size < w->seen.size;
}

static int follow_note(struct pv_witness *w, const struct pv_log_source *source,
                       const struct pv_buf *note, uint64_t now_s, struct pv_err *err)
{
    struct pv_checkpoint c;
    struct pv_proof proof;
    pv_autobuf struct pv_buf line;
    pv_buf_init(&line, PV_NOTE_MAX);
    int rc = open_note(w, note->data, note->len, &c, err);
    if (rc == PV_WITNESS_UNKNOWN_KEY && is_by_older_key(w, note, &c))
        rc = PV_WITNESS_COSIGNED;
    if (rc != PV_WITNESS_COSIGNED)
        return rc;
    if (c.size < w->seen.size)
        return look_behind(w, source, &c, note, now_s, err);
    w->behind_size = 0;
    proof.n = 0;
    if (c.size > w->seen.size)
        rc = prove(w, source, &c, &proof, err);
    if (rc != PV_WITNESS_COSIGNED)
        return rc;
    rc = pv_witness_add(w, w->seen.size, &proof, note->data, note->len, now_s, &line, err);
    /* The tiles give the new root and not the old one: that is what a fork is. */
    return rc == PV_WITNESS_BAD_PROOF && w->seen.size
               ? refuse_fork(w, note->data, note->len, c.size, err)
               : rc;
}

static bool is_known_and_young(const struct pv_witness *w, const struct pv_buf *note,
                               uint64_t now_s, uint64_t max_age_s)
{
    struct pv_checkpoint c;
    struct pv_err ignored = PV_ERR_INIT;
    return w->note.len && now_s >= w->seen_s && now_s - w->seen_s < max_age_s &&
           open_note(w, note->data, note->len, &c, &ignored) == PV_WITNESS_COSIGNED &&
           c.size == w->seen.size && memcmp(c.root, w->seen.root, sizeof c.root) == 0;
}

/* Whether a line of the log's name is by another key than the one in force: after a change, or over
 * it, when both sign. */
static bool has_other_line(const struct pv_witness *w, const struct pv_buf *note)
{
    const char *text, *at, *end = (const char *)note->data + note->len;
    size_t text_len;
    struct pv_note_signature s;
    struct pv_err ignored = PV_ERR_INIT;
    if (pv_note_split(note->data, note->len, &text, &text_len, &at, &ignored) < 0)
        return false;
    for (unsigned n = 0; pv_note_next_signature(&at, end, n, &s, &ignored) > 0; n++)
        if (s.raw_len >= PV_NOTE_KEY_HASH_BYTES && s.name_len == strlen(w->log_key.name) &&
            memcmp(s.name, w->log_key.name, s.name_len) == 0 &&
            memcmp(s.raw, w->log_key.hash, PV_NOTE_KEY_HASH_BYTES) != 0)
            return true;
    return false;
}

/* A key that is not known may be one that the log has changed to: its list of changes tells. One
 * that does not hold leaves the key unknown. The key before is not believed any more. */
static int follow_key(struct pv_witness *w, const struct pv_log_source *source,
                      const struct pv_buf *note, struct pv_err *err)
{
    struct pv_err why = PV_ERR_INIT;
    struct pv_note_key key = w->log_key;
    pv_autobuf struct pv_buf text;
    pv_buf_init(&text, PV_ROTATIONS_MAX);
    if (!has_other_line(w, note))
        return 0;
    int rc = source->read(source->ctx, "rotations", &text, &why);
    if (rc == -ENOENT || rc == -EMSGSIZE)
        return 0;
    if (rc < 0)
        return pv_refuse(err, rc, "%s", why.text);
    if (text.len == 0 || pv_rotations_follow(&key, text.data, text.len, &why) < 0 ||
        memcmp(key.public_key, w->log_key.public_key, sizeof key.public_key) == 0)
        return 0;
    return keep_key(w, &key, err);
}

int pv_witness_follow(struct pv_witness *w, const struct pv_log_source *source, uint64_t now_s,
                      uint64_t max_age_s, struct pv_err *err)
{
    pv_autobuf struct pv_buf note;
    pv_buf_init(&note, PV_NOTE_MAX);
    PV_TRY(source->read(source->ctx, "checkpoint", &note, err));
    if (note.len == 0) {
        (void)pv_refuse(err, EBADMSG, "the log's checkpoint is empty");
        return PV_WITNESS_MALFORMED;
    }
    PV_TRY(follow_key(w, source, &note, err));
    if (is_known_and_young(w, &note, now_s, max_age_s))
        return PV_WITNESS_UNCHANGED;
    return follow_note(w, source, &note, now_s, err);
}
