#include "pv/published.h"

#include "log_files.h"
#include "note_parts.h"

#include "pv/io.h"

#include <string.h>

static void take(struct pv_signed_checkpoint *ret, const struct pv_buf *note)
{
    memcpy(ret->note, note->data, note->len);
    ret->len = note->len;
}

static int open_note(const struct pv_note_key *key, const struct pv_buf *note,
                     struct pv_checkpoint *ret, struct pv_err *err)
{
    const uint8_t *text = note->len ? note->data : (const uint8_t *)"";
    return pv_checkpoint_open(key, text, note->len, ret, err);
}

int pv_log_latest(int dir_fd, const struct pv_note_key *key, struct pv_signed_checkpoint *ret,
                  struct pv_err *err)
{
    pv_autobuf struct pv_buf note;
    pv_buf_init(&note, PV_NOTE_MAX);
    memset(ret, 0, sizeof *ret);
    PV_TRY(pv_read_file_at(dir_fd, PV_LOG_LATEST, &note, err));
    int rc = open_note(key, &note, &ret->at, err);
    if (rc < 0)
        return pv_wrap(err, rc, "the published checkpoint");
    take(ret, &note);
    return 0;
}

/* Where the signature lines of a note of that very text begin, or NULL. */
static const char *lines_of(const struct pv_buf *note, const char *text, size_t len)
{
    const char *own, *lines;
    size_t own_len;
    struct pv_err ignored = PV_ERR_INIT;
    if (note->len == 0 ||
        pv_note_split(note->data, note->len, &own, &own_len, &lines, &ignored) < 0 ||
        own_len != len || memcmp(own, text, len) != 0)
        return NULL;
    return lines;
}

static bool same_signer(const struct pv_note_signature *a, const struct pv_note_signature *b)
{
    return a->raw_len == b->raw_len && a->name_len == b->name_len &&
           memcmp(a->name, b->name, a->name_len) == 0 &&
           memcmp(a->raw, b->raw, PV_NOTE_KEY_HASH_BYTES) == 0;
}

/* The note's signature line of that number, when it is a cosignature and none before it names the
 * same key; NULL when it is not. */
static const char *cosignature(const struct pv_buf *note, const char *text, size_t len,
                               unsigned number, size_t *ret_bytes)
{
    const char *end = (const char *)note->data + note->len;
    struct pv_note_signature s[PV_NOTE_SIGNATURES_MAX];
    struct pv_err ignored = PV_ERR_INIT;
    const char *at = lines_of(note, text, len), *line = at;
    for (unsigned n = 0; at && pv_note_next_signature(&at, end, n, &s[n], &ignored) > 0; n++) {
        if (n == number && s[n].raw_len != PV_NOTE_RAW_MAX)
            return NULL;
        for (unsigned i = 0; n == number && i < n; i++)
            if (same_signer(&s[i], &s[n]))
                return NULL;
        *ret_bytes = (size_t)(at - line);
        if (n == number)
            return line;
        line = at;
    }
    return NULL;
}

/* Each line once, as far as a note has room. What is a good one is not known here: every note in
 * turn adds a line, so that none takes the room of all others. */
static void add_cosignatures(const struct pv_buf *notes, size_t n, const char *text, size_t len,
                             struct pv_buf *out, unsigned lines, unsigned *ret_added)
{
    for (unsigned number = 0; number < PV_NOTE_SIGNATURES_MAX; number++)
        for (size_t i = 0; i < n; i++) {
            size_t bytes;
            const char *line = cosignature(&notes[i], text, len, number, &bytes);
            if (!line || lines + *ret_added == PV_NOTE_SIGNATURES_MAX ||
                out->len + bytes > PV_NOTE_MAX || memmem(out->data, out->len, line, bytes))
                continue;
            pv_buf_raw(out, line, bytes);
            ++*ret_added;
        }
}

static unsigned count_lines(const struct pv_buf *b, size_t from)
{
    unsigned n = 0;
    for (size_t i = from; i < b->len; i++)
        n += b->data[i] == '\n';
    return n;
}

/* The note's text, the log's own signatures, and every cosignature that any of the notes has. */
static int join(const struct pv_note_key *key, const struct pv_buf *notes, size_t n, size_t which,
                struct pv_buf *out, unsigned *ret_cosignatures, struct pv_err *err)
{
    const struct pv_buf *note = &notes[which];
    const char *text, *lines;
    size_t len;
    PV_TRY(pv_note_split(note->data, note->len, &text, &len, &lines, err));
    pv_buf_raw(out, text, len);
    pv_buf_raw(out, "\n", 1);
    size_t signatures = out->len;
    PV_TRY(pv_note_copy_signatures(key, note->data, note->len, out, err));
    *ret_cosignatures = 0;
    add_cosignatures(notes, n, text, len, out, count_lines(out, signatures), ret_cosignatures);
    return pv_buf_check(out, "cosigned checkpoint", err);
}

static bool is_better(unsigned cosignatures, uint64_t size, const struct pv_signed_checkpoint *than)
{
    return cosignatures > than->cosignatures ||
           (cosignatures == than->cosignatures && size > than->at.size);
}

int pv_checkpoint_cosigned(const struct pv_note_key *key, const struct pv_buf *notes, size_t n,
                           uint64_t seq, struct pv_signed_checkpoint *inout, struct pv_err *err)
{
    for (size_t i = 0; i < n; i++) {
        pv_autobuf struct pv_buf joined;
        struct pv_checkpoint c;
        unsigned cosignatures;
        pv_buf_init(&joined, PV_NOTE_MAX);
        PV_TRY(open_note(key, &notes[i], &c, err));
        if (c.size <= seq)
            continue;
        PV_TRY(join(key, notes, n, i, &joined, &cosignatures, err));
        if (!is_better(cosignatures, c.size, inout))
            continue;
        inout->at = c;
        inout->cosignatures = cosignatures;
        take(inout, &joined);
    }
    return 0;
}
