#include "bundle_text.h"

#include "base64.h"

#include "pv/rotations.h"

#include <inttypes.h>
#include <string.h>

static const char header[] = "provost-bundle@v1\n";

void pv_bundle_put_head(struct pv_buf *out, const struct pv_call_id *calls, size_t n)
{
    char id[PV_CALL_ID_CHARS + 1];
    pv_buf_raw(out, header, sizeof header - 1);
    for (size_t i = 0; i < n; i++) {
        pv_call_id_print(&calls[i], id);
        pv_buf_printf(out, "call %s\n", id);
    }
}

void pv_bundle_put_line(struct pv_buf *out, uint64_t seq, const uint8_t *entry, size_t len,
                        const struct pv_proof *path)
{
    pv_buf_printf(out, "%" PRIu64 " ", seq);
    pv_base64_put(out, entry, len);
    for (unsigned i = 0; i < path->n; i++) {
        pv_buf_raw(out, " ", 1);
        pv_base64_put(out, path->hash[i], PV_HASH_BYTES);
    }
    pv_buf_raw(out, "\n", 1);
}

void pv_bundle_put_note(struct pv_buf *out, const void *note, size_t len)
{
    pv_buf_raw(out, "\n", 1);
    pv_buf_raw(out, note, len);
}

/* The next line without its newline; false at the end. */
static bool next_line(struct pv_bundle_text *t, const char **ret, size_t *ret_len)
{
    const char *newline = t->at < t->end ? memchr(t->at, '\n', (size_t)(t->end - t->at)) : NULL;
    if (!newline)
        return false;
    *ret = t->at;
    *ret_len = (size_t)(newline - t->at);
    t->at = newline + 1;
    return true;
}

static int read_calls(struct pv_bundle_text *t, struct pv_err *err)
{
    static const char word[] = "call ";
    const char *line, *before = t->at;
    size_t len;
    while (next_line(t, &line, &len) && len == sizeof word - 1 + PV_CALL_ID_CHARS &&
           memcmp(line, word, sizeof word - 1) == 0) {
        char id[PV_CALL_ID_CHARS + 1] = "", printed[PV_CALL_ID_CHARS + 1];
        memcpy(id, line + sizeof word - 1, PV_CALL_ID_CHARS);
        bool ok = t->n_calls < PV_BUNDLE_CALLS_MAX && pv_call_id_parse(id, &t->calls[t->n_calls]);
        if (ok)
            pv_call_id_print(&t->calls[t->n_calls], printed);
        /* people may type capitals; a bundle has one spelling only */
        if (!ok || strcmp(id, printed) != 0)
            return pv_refuse(err, EBADMSG, "call %zu of the bundle is malformed", t->n_calls + 1);
        t->n_calls++;
        before = t->at;
    }
    t->at = before;
    return 0;
}

static void read_rotations(struct pv_bundle_text *t)
{
    const char *line, *before = t->at;
    size_t len;
    t->rotations = t->at;
    while (next_line(t, &line, &len) && pv_rotation_is(line, len))
        before = t->at;
    t->at = before;
    t->rotations_len = (size_t)(before - t->rotations);
}

int pv_bundle_text_open(struct pv_bundle_text *t, const void *text, size_t len, struct pv_err *err)
{
    const char *p = text;
    memset(t, 0, sizeof *t);
    if (len < sizeof header - 1 || memcmp(p, header, sizeof header - 1) != 0)
        return pv_refuse(err, EBADMSG, "not a provost-bundle@v1");
    const char *empty = memmem(p, len, "\n\n", 2);
    if (!empty || empty + 2 == p + len)
        return pv_refuse(err, EBADMSG, "the bundle has no checkpoint");
    t->at = p + sizeof header - 1;
    t->end = empty + 1;
    t->note = (const uint8_t *)empty + 2;
    t->note_len = (size_t)(p + len - (empty + 2));
    PV_TRY(read_calls(t, err));
    read_rotations(t);
    return 0;
}

/* Bytes in base64 up to a space or the end; the length of the text, 0: malformed. */
static size_t take_base64(const char *at, const char *end, uint8_t *out, size_t cap, size_t *ret)
{
    const char *space = memchr(at, ' ', (size_t)(end - at));
    size_t len = (size_t)((space ? space : end) - at);
    return pv_base64_get(at, len, out, cap, ret) ? len : 0;
}

static bool take_seq(const char **at, const char *end, uint64_t *ret)
{
    const char *p = *at;
    uint64_t v = 0;
    while (p < end && *p >= '0' && *p <= '9' && p - *at < 19)
        v = v * 10 + (uint64_t)(*p++ - '0');
    if (p == *at || p == end || *p != ' ' || (p - *at > 1 && **at == '0'))
        return false;
    *ret = v;
    *at = p + 1;
    return true;
}

static bool parse_line(const char *at, const char *end, struct pv_bundle_line *l)
{
    size_t n, got = 0;
    l->path.n = 0;
    if (!take_seq(&at, end, &l->seq))
        return false;
    n = take_base64(at, end, l->entry, sizeof l->entry, &l->len);
    for (at += n; n > 0 && at < end; at += n) {
        at++;
        if (l->path.n == PV_PROOF_MAX)
            return false;
        n = take_base64(at, end, l->path.hash[l->path.n++], PV_HASH_BYTES, &got);
        if (got != PV_HASH_BYTES)
            return false;
    }
    return n > 0;
}

int pv_bundle_text_next(struct pv_bundle_text *t, struct pv_bundle_line *ret, struct pv_err *err)
{
    const char *line;
    size_t len;
    if (!next_line(t, &line, &len))
        return 0;
    if (!parse_line(line, line + len, ret))
        return pv_refuse(err, EBADMSG, "a line of the bundle is malformed");
    return 1;
}
