#include "pv/proof.h"

#include "base64.h"
#include "text_lines.h"

#include <inttypes.h>
#include <string.h>

static const char header[] = "c2sp.org/tlog-proof@v1\n";

int pv_tlog_proof_print(const struct pv_tlog_proof *p, struct pv_buf *out, struct pv_err *err)
{
    pv_buf_printf(out, "%sindex %" PRIu64 "\n", header, p->index);
    for (unsigned i = 0; i < p->path.n; i++) {
        pv_base64_put(out, p->path.hash[i], PV_HASH_BYTES);
        pv_buf_raw(out, "\n", 1);
    }
    pv_buf_raw(out, "\n", 1);
    pv_buf_raw(out, p->checkpoint, p->checkpoint_len);
    return pv_buf_check(out, "proof", err);
}

static bool starts_with(const char *line, size_t len, const char *word)
{
    return len > strlen(word) && memcmp(line, word, strlen(word)) == 0;
}

static bool parse_index(const char *line, size_t len, uint64_t *ret)
{
    static const char word[] = "index ";
    size_t skip = sizeof word - 1;
    return starts_with(line, len, word) && pv_parse_decimal(line + skip, len - skip, ret);
}

int pv_tlog_proof_parse(const void *text, size_t len, struct pv_tlog_proof *ret, struct pv_err *err)
{
    const char *at = text, *end = at + len, *line;
    size_t n;
    struct pv_tlog_proof p;
    memset(&p, 0, sizeof p);
    if (len < sizeof header - 1 || memcmp(at, header, sizeof header - 1) != 0)
        return pv_refuse(err, EBADMSG, "not a c2sp.org/tlog-proof@v1");
    at += sizeof header - 1;
    line = pv_next_line(&at, end, &n);
    if (line && starts_with(line, n, "extra "))
        line = pv_next_line(&at, end, &n);
    if (!line || !parse_index(line, n, &p.index))
        return pv_refuse(err, EBADMSG, "the proof has no index");
    while ((line = pv_next_line(&at, end, &n)) && n > 0) {
        if (p.path.n == PV_PROOF_MAX ||
            !pv_base64_exactly(line, n, p.path.hash[p.path.n], PV_HASH_BYTES))
            return pv_refuse(err, EBADMSG, "hash %u of the proof is malformed", p.path.n + 1);
        p.path.n++;
    }
    if (!line || at == end)
        return pv_refuse(err, EBADMSG, "the proof has no checkpoint");
    p.checkpoint = (const uint8_t *)at;
    p.checkpoint_len = (size_t)(end - at);
    *ret = p;
    return 0;
}
