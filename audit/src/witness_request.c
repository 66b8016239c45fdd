/* The body of add-checkpoint (c2sp.org/tlog-witness): "old SIZE", at most 63 hashes, an empty line,
 * the checkpoint. */
#include "pv/witness.h"

#include "base64.h"
#include "text_lines.h"

#include <string.h>

enum { PROOF_LINES_MAX = 63 };

int pv_witness_request_parse(const void *body, size_t len, struct pv_witness_request *ret,
                             struct pv_err *err)
{
    static const char word[] = "old ";
    const char *at = body, *end = at + len;
    size_t n;
    struct pv_witness_request q;
    memset(&q, 0, sizeof q);
    const char *line = pv_next_line(&at, end, &n);
    if (!line || n < sizeof word || memcmp(line, word, sizeof word - 1) != 0 ||
        !pv_parse_decimal(line + sizeof word - 1, n - (sizeof word - 1), &q.old_size))
        return pv_refuse(err, EBADMSG, "the request does not begin with 'old SIZE'");
    while ((line = pv_next_line(&at, end, &n)) && n > 0) {
        if (q.proof.n == PROOF_LINES_MAX ||
            !pv_base64_exactly(line, n, q.proof.hash[q.proof.n], PV_HASH_BYTES))
            return pv_refuse(err, EBADMSG, "hash %u of the consistency proof is malformed",
                             q.proof.n + 1);
        q.proof.n++;
    }
    if (!line || at == end)
        return pv_refuse(err, EBADMSG, "the request has no checkpoint");
    q.note = (const uint8_t *)at;
    q.note_len = (size_t)(end - at);
    *ret = q;
    return 0;
}
