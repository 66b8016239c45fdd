#include "pv/checkpoint.h"

#include "base64.h"
#include "text_lines.h"

#include <inttypes.h>
#include <string.h>

int pv_checkpoint_sign(const struct pv_note_signer *s, const struct pv_note_signer *also,
                       uint64_t size, const uint8_t root[PV_HASH_BYTES], struct pv_buf *out,
                       struct pv_err *err)
{
    pv_autobuf struct pv_buf text;
    pv_buf_init(&text, PV_NOTE_MAX);
    pv_buf_printf(&text, "%s\n%" PRIu64 "\n", s->key.name, size);
    pv_base64_put(&text, root, PV_HASH_BYTES);
    pv_buf_raw(&text, "\n", 1);
    PV_TRY(pv_buf_check(&text, "checkpoint", err));
    PV_TRY(pv_note_sign(s, (const char *)text.data, text.len, out, err));
    return also ? pv_note_add_signature(also, (const char *)text.data, text.len, out, err) : 0;
}

bool pv_checkpoint_claimed_size(const void *note, size_t len, uint64_t *ret)
{
    const char *text = note, *end = text + len, *line;
    size_t n;
    return pv_next_line(&text, end, &n) && (line = pv_next_line(&text, end, &n)) &&
           pv_parse_decimal(line, n, ret);
}

/* "ORIGIN\nSIZE\nROOT\n"; extension lines may follow. */
static int parse_text(const char *text, const char *end, struct pv_checkpoint *ret,
                      struct pv_err *err)
{
    const char *line;
    size_t n;
    struct pv_checkpoint c;
    memset(&c, 0, sizeof c);
    line = pv_next_line(&text, end, &n);
    if (!line || n > PV_NOTE_NAME_MAX)
        return pv_refuse(err, EBADMSG, "checkpoint has no origin");
    memcpy(c.origin, line, n);
    line = pv_next_line(&text, end, &n);
    if (!line || !pv_parse_decimal(line, n, &c.size))
        return pv_refuse(err, EBADMSG, "checkpoint has no tree size");
    line = pv_next_line(&text, end, &n);
    if (!line || !pv_base64_exactly(line, n, c.root, sizeof c.root))
        return pv_refuse(err, EBADMSG, "checkpoint has no root hash");
    *ret = c;
    return 0;
}

int pv_checkpoint_claims(const void *note, size_t len, struct pv_checkpoint *ret,
                         struct pv_err *err)
{
    return parse_text(note, (const char *)note + len, ret, err);
}

int pv_checkpoint_open(const struct pv_note_key *k, const void *note, size_t len,
                       struct pv_checkpoint *ret, struct pv_err *err)
{
    const char *text;
    size_t text_len;
    struct pv_checkpoint c;
    uint64_t until;
    PV_TRY(pv_note_open_until(k, note, len, &text, &text_len, &until, err));
    PV_TRY(parse_text(text, text + text_len, &c, err));
    if (strcmp(c.origin, k->name) != 0)
        return pv_refuse(err, EBADMSG, "checkpoint is of another log than '%s'", k->name);
    if (c.size > until)
        return pv_refuse(err, ENOKEY,
                         "the key of '%s' that signed it was given up at %" PRIu64
                         " entries (where several keys are named, the newest comes first)",
                         k->name, until);
    *ret = c;
    return 0;
}
