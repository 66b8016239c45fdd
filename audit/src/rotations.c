#include "rotations.h"

#include "base64.h"
#include "log_files.h"
#include "text_lines.h"

#include "pv/event.h"
#include "pv/io.h"
#include "pv/log_reader.h"
#include "pv/own.h"
#include "pv/proof.h"
#include "pv/prove.h"

#include <string.h>

static const char word[] = "rotation ";
enum { WORD = sizeof word - 1, PROOF_MAX = 1 << 13 };

bool pv_rotation_is(const char *line, size_t len)
{
    return len > WORD && memcmp(line, word, WORD) == 0;
}

struct rotation {
    uint8_t entry[PV_LOG_ENTRY_MAX];
    size_t entry_len;
    uint8_t proof[PROOF_MAX];
    size_t proof_len;
};

static bool parse(const char *line, size_t len, struct rotation *ret)
{
    if (!pv_rotation_is(line, len) || len > PV_ROTATION_LINE_MAX)
        return false;
    const char *at = line + WORD, *end = line + len;
    const char *space = memchr(at, ' ', (size_t)(end - at));
    return space &&
           pv_base64_get(at, (size_t)(space - at), ret->entry, sizeof ret->entry,
                         &ret->entry_len) &&
           pv_base64_get(space + 1, (size_t)(end - space - 1), ret->proof, sizeof ret->proof,
                         &ret->proof_len) &&
           ret->entry_len > PV_TAG_BYTES && ret->proof_len > 0;
}

/* The keys that the entry names; borrowed from it. */
static int read_event(const struct rotation *r, const uint8_t **ret_old, const uint8_t **ret_new,
                      struct pv_err *err)
{
    struct pv_event e;
    PV_TRY(pv_event_decode(r->entry, r->entry_len - PV_TAG_BYTES, &e, err));
    const struct pv_value *o = pv_event_field(&e, "old_key"), *n = pv_event_field(&e, "new_key");
    if (e.kind != PV_K_KEY_ROTATION || !o || !n || o->len != 32 || n->len != 32)
        return pv_refuse(err, EBADMSG, "it is no event that changes the log's key");
    *ret_old = o->bytes;
    *ret_new = n->bytes;
    return 0;
}

/* The change ends with the checkpoint over its event. Both keys must have signed that: the older
 * one alone could have been made to say anything since. */
static void retire_older(struct pv_note_key *k, const struct rotation *r, const uint8_t *old_key,
                         const uint8_t *new_key)
{
    struct pv_note_key one;
    struct pv_checkpoint c;
    struct pv_err ignored = PV_ERR_INIT;
    const uint8_t *const signers[] = {old_key, new_key};
    uint64_t seq = 0;
    if (!pv_note_key_knows(k, old_key) || !pv_note_key_knows(k, new_key))
        return;
    for (unsigned i = 0; i < 2; i++)
        if (pv_note_key_init(&one, k->name, signers[i], &ignored) < 0 ||
            pv_proof_check(&one, r->proof, r->proof_len, r->entry, r->entry_len, &seq, &c,
                           &ignored) < 0)
            return;
    pv_note_key_retire(k, old_key, seq + 1);
}

int pv_rotation_take(struct pv_note_key *k, const char *line, size_t len, struct pv_err *err)
{
    pv_autofree struct rotation *r = malloc(sizeof *r);
    const uint8_t *old_key, *new_key;
    struct pv_checkpoint c;
    struct pv_note_key present;
    uint64_t seq;
    if (!r)
        return pv_fail(err, ENOMEM, "follow a change of the log's key");
    if (!parse(line, len, r))
        return pv_refuse(err, EBADMSG, "a change of the log's key is malformed");
    PV_TRY(read_event(r, &old_key, &new_key, err));
    if (memcmp(old_key, k->public_key, 32) != 0) {
        retire_older(k, r, old_key, new_key);
        return 0;
    }
    /* Only the key that is in force can be followed by another: one that was given up may have been
     * stolen since. */
    PV_TRY(pv_note_key_init(&present, k->name, k->public_key, err));
    int rc =
        pv_proof_check(&present, r->proof, r->proof_len, r->entry, r->entry_len, &seq, &c, err);
    if (rc < 0)
        return pv_wrap(err, -EBADMSG, "a change of the log's key does not hold");
    PV_TRY(pv_note_key_add(k, new_key, err));
    pv_note_key_retire(k, present.public_key, seq + 1);
    return 0;
}

int pv_rotations_follow(struct pv_note_key *k, const void *text, size_t len, struct pv_err *err)
{
    const char *at = text, *end = at + len, *line;
    size_t n;
    if (len > PV_ROTATIONS_MAX)
        return pv_refuse(err, EBADMSG, "the list of changes of the log's key is too long");
    while ((line = pv_next_line(&at, end, &n)))
        PV_TRY(pv_rotation_take(k, line, n, err));
    return at == end ? 0 : pv_refuse(err, EBADMSG, "the list of changes of the log's key is cut");
}

static int read_last_entry(int dir_fd, uint64_t size, struct pv_buf *out, struct pv_err *err)
{
    pv_auto_log_reader struct pv_log_reader *r = NULL;
    struct pv_log_entry e;
    PV_TRY(pv_log_reader_open(&r, dir_fd, size - 1, err));
    int rc = pv_log_reader_next(r, &e, err);
    PV_TRY(rc);
    if (rc == 0)
        return pv_refuse(err, EBADMSG, "the log lacks its last signed entry");
    pv_buf_raw(out, e.bytes, e.len);
    return pv_buf_check(out, "entry", err);
}

static int make_line(int dir_fd, const void *note, size_t len, struct pv_buf *out,
                     struct pv_err *err)
{
    pv_auto_tree_reader struct pv_tree_reader *tree = NULL;
    pv_autobuf struct pv_buf entry, proof;
    struct pv_checkpoint c;
    struct pv_tlog_proof p = {.checkpoint = note, .checkpoint_len = len};
    pv_buf_init(&entry, PV_LOG_ENTRY_MAX);
    pv_buf_init(&proof, PROOF_MAX);
    PV_TRY(pv_checkpoint_claims(note, len, &c, err));
    if (c.size == 0)
        return pv_refuse(err, EBADMSG, "an empty log has no change of its key");
    p.index = c.size - 1;
    PV_TRY(read_last_entry(dir_fd, c.size, &entry, err));
    PV_TRY(pv_tree_reader_open(&tree, dir_fd, c.size, err));
    PV_TRY(pv_tree_inclusion(tree, p.index, &p.path, err));
    PV_TRY(pv_tlog_proof_print(&p, &proof, err));
    pv_buf_raw(out, word, WORD);
    pv_base64_put(out, entry.data, entry.len);
    pv_buf_raw(out, " ", 1);
    pv_base64_put(out, proof.data, proof.len);
    pv_buf_raw(out, "\n", 1);
    return pv_buf_check(out, "change of the log's key", err);
}

int pv_rotations_read(int dir_fd, struct pv_buf *out, struct pv_err *err)
{
    struct pv_err why = PV_ERR_INIT;
    int rc = pv_read_file_at(dir_fd, PV_LOG_ROTATIONS, out, &why);
    return rc == -ENOENT ? 0 : rc < 0 ? pv_refuse(err, rc, "%s", why.text) : 0;
}

unsigned pv_rotations_claims(int dir_fd, struct pv_rotation_claim ret[PV_ROTATION_CLAIMS_MAX])
{
    pv_autobuf struct pv_buf text;
    pv_autofree struct rotation *r = malloc(sizeof *r);
    struct pv_err ignored = PV_ERR_INIT;
    unsigned found = 0;
    size_t n;
    pv_buf_init(&text, PV_ROTATIONS_MAX);
    if (!r || pv_rotations_read(dir_fd, &text, &ignored) < 0 || text.len == 0)
        return 0;
    const char *at = (const char *)text.data, *end = at + text.len, *line;
    while (found < PV_ROTATION_CLAIMS_MAX && (line = pv_next_line(&at, end, &n))) {
        const uint8_t *old_key, *new_key;
        if (!parse(line, n, r) || read_event(r, &old_key, &new_key, &ignored) < 0)
            continue;
        pv_leaf_hash(r->entry, r->entry_len, ret[found].leaf);
        memcpy(ret[found].old_key, old_key, 32);
        memcpy(ret[found++].new_key, new_key, 32);
    }
    return found;
}

/* A line that nobody could follow would make every proof from then on worthless. */
static int check_line(const struct pv_note_key *key, const struct pv_buf *line, struct pv_err *err)
{
    struct pv_note_key k = *key;
    PV_TRY(pv_rotation_take(&k, (const char *)line->data, line->len - 1, err));
    if (memcmp(k.public_key, key->public_key, sizeof k.public_key) == 0)
        return pv_refuse(err, EBADMSG, "it is no event that changes the log's present key");
    return 0;
}

int pv_rotations_add(int dir_fd, const struct pv_note_key *key, const void *note, size_t len,
                     struct pv_err *err)
{
    pv_autobuf struct pv_buf all, line;
    pv_buf_init(&all, PV_ROTATIONS_MAX);
    pv_buf_init(&line, PV_ROTATION_LINE_MAX);
    PV_TRY(make_line(dir_fd, note, len, &line, err));
    PV_TRY(pv_rotations_read(dir_fd, &all, err));
    if (all.len >= line.len && memcmp(all.data + all.len - line.len, line.data, line.len) == 0)
        return 0;
    PV_TRY(check_line(key, &line, err));
    pv_buf_raw(&all, line.data, line.len);
    PV_TRY(pv_buf_check(&all, "list of changes of the log's key", err));
    return pv_replace_file_at(dir_fd, PV_LOG_ROTATIONS, all.data, all.len, 0644, err);
}
