#include "archive_head.h"

#include "base64.h"
#include "text_lines.h"

#include "pv/tile.h"

#include <inttypes.h>
#include <string.h>

static const char header[] = "provost-archive@v1";

static void put_hashes(const uint8_t (*hash)[PV_HASH_BYTES], unsigned n, struct pv_buf *out)
{
    for (unsigned i = 0; i < n; i++) {
        pv_base64_put(out, hash[i], PV_HASH_BYTES);
        pv_buf_raw(out, "\n", 1);
    }
    pv_buf_raw(out, "\n", 1);
}

int pv_archive_head_print(const struct pv_archive_head *h, struct pv_buf *out, struct pv_err *err)
{
    uint8_t before[PV_TREE_LEVELS][PV_HASH_BYTES];
    unsigned n = 0;
    for (unsigned level = 0; level < PV_TREE_LEVELS; level++)
        if (h->first >> level & 1)
            memcpy(before[n++], h->before.node[level], PV_HASH_BYTES);
    pv_buf_printf(out, "%s\nentries %" PRIu64 " %" PRIu64 "\n", header, h->first, h->end);
    put_hashes((const uint8_t(*)[PV_HASH_BYTES])before, n, out);
    put_hashes((const uint8_t(*)[PV_HASH_BYTES])h->proof.hash, h->proof.n, out);
    pv_buf_printf(out, "checkpoint %zu\n", h->note_len);
    pv_buf_raw(out, h->note, h->note_len);
    return pv_buf_check(out, "head of an archive", err);
}

static bool skip_word(const char **line, size_t *len, const char *word)
{
    size_t n = strlen(word);
    if (*len < n || memcmp(*line, word, n) != 0)
        return false;
    *line += n;
    *len -= n;
    return true;
}

static bool parse_range(const char *line, size_t len, struct pv_archive_head *h)
{
    if (!skip_word(&line, &len, "entries "))
        return false;
    const char *space = memchr(line, ' ', len);
    size_t n = space ? (size_t)(space - line) : 0;
    return space && pv_parse_decimal(line, n, &h->first) &&
           pv_parse_decimal(space + 1, len - n - 1, &h->end) && h->first < h->end &&
           h->first % PV_TILE_WIDTH == 0 && h->end % PV_TILE_WIDTH == 0;
}

/* Hashes, one a line, up to an empty line. */
static int parse_hashes(const char **at, const char *end, uint8_t (*ret)[PV_HASH_BYTES],
                        unsigned max, unsigned *ret_n, struct pv_err *err)
{
    size_t len;
    const char *line;
    *ret_n = 0;
    while ((line = pv_next_line(at, end, &len)) && len > 0)
        if (*ret_n == max || !pv_base64_exactly(line, len, ret[(*ret_n)++], PV_HASH_BYTES))
            return pv_refuse(err, EBADMSG, "a hash in the head of the archive is malformed");
    return line ? 0 : pv_refuse(err, EBADMSG, "the head of the archive is cut");
}

static int parse_before(const char **at, const char *end, struct pv_archive_head *h,
                        struct pv_err *err)
{
    uint8_t hash[PV_TREE_LEVELS][PV_HASH_BYTES];
    unsigned n, used = 0;
    PV_TRY(parse_hashes(at, end, hash, PV_TREE_LEVELS, &n, err));
    h->before.size = h->first;
    for (unsigned level = 0; level < PV_TREE_LEVELS && used <= n; level++)
        if (h->first >> level & 1) {
            if (used < n)
                memcpy(h->before.node[level], hash[used], PV_HASH_BYTES);
            used++;
        }
    return used == n ? 0 : pv_refuse(err, EBADMSG, "the archive has a wrong number of hashes");
}

int pv_archive_head_parse(const void *p, size_t len, struct pv_archive_head *ret,
                          struct pv_err *err)
{
    const char *at = p, *end = at + (len < PV_ARCHIVE_HEAD_MAX ? len : PV_ARCHIVE_HEAD_MAX);
    size_t n;
    uint64_t note_len;
    memset(ret, 0, sizeof *ret);
    const char *line = pv_next_line(&at, end, &n);
    if (!line || n != sizeof header - 1 || memcmp(line, header, n) != 0)
        return pv_refuse(err, EBADMSG, "not an archive (%s)", header);
    line = pv_next_line(&at, end, &n);
    if (!line || !parse_range(line, n, ret))
        return pv_refuse(err, EBADMSG, "the archive does not say which entries it holds");
    PV_TRY(parse_before(&at, end, ret, err));
    PV_TRY(parse_hashes(&at, end, ret->proof.hash, PV_PROOF_MAX, &ret->proof.n, err));
    line = pv_next_line(&at, end, &n);
    if (!line || !skip_word(&line, &n, "checkpoint ") || !pv_parse_decimal(line, n, &note_len) ||
        note_len > PV_NOTE_MAX || note_len > (uint64_t)(end - at))
        return pv_refuse(err, EBADMSG, "the archive has no checkpoint");
    memcpy(ret->note, at, note_len);
    ret->note_len = note_len;
    ret->bytes = (size_t)(at - (const char *)p) + note_len;
    return 0;
}
