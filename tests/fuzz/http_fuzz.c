/* The request parser: whatever the cuts between ranges, the same bytes must give the same requests,
 * bodies and refusals. */
#include "pv/http.h"

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_LIMIT = 4096 };

struct trace {
    uint64_t hash;
    unsigned requests;
    unsigned status;
};

static void mix(struct trace *t, uint64_t v)
{
    t->hash = (t->hash ^ v) * 0x100000001b3ull;
}

static void mix_head(struct trace *t, const struct pv_http_head *h)
{
    for (const char *c = h->target; *c; c++)
        mix(t, (uint8_t)*c);
    for (unsigned i = 0; i < h->n_fields; i++)
        for (const char *c = h->fields[i].value; *c; c++)
            mix(t, (uint8_t)*c);
    assert(!(h->chunked && h->has_length));
    assert(h->minor == 0 || h->host[0]);
}

static struct trace run(const uint8_t *data, size_t size, size_t range)
{
    struct trace t = {.hash = 1};
    pv_autofree_http struct pv_http_parser *p = NULL;
    if (pv_http_parser_new(&p, PV_HTTP_ORIGIN | PV_HTTP_ABSOLUTE | PV_HTTP_AUTHORITY, BODY_LIMIT,
                           NULL) < 0)
        return t;
    for (size_t off = 0; off < size && !t.status;) {
        size_t left = size - off < range ? size - off : range;
        const uint8_t *in = data + off;
        off += left;
        for (enum pv_http_step s = PV_HTTP_HEAD; s != PV_HTTP_MORE && s != PV_HTTP_ERROR;) {
            size_t used;
            struct pv_http_span span;
            s = pv_http_parse(p, in, left, &used, &span);
            assert(used <= left && span.len <= used);
            in += used;
            left -= used;
            for (size_t i = 0; i < span.len; i++)
                mix(&t, span.data[i]);
            if (s == PV_HTTP_HEAD)
                mix_head(&t, pv_http_parser_head(p));
            if (s == PV_HTTP_ERROR)
                t.status = pv_http_parser_status(p);
            if (s == PV_HTTP_DONE) {
                t.requests++;
                pv_http_parser_reset(p);
            }
        }
    }
    return t;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct trace whole = run(data, size, size);
    struct trace bytes = run(data, size, 1);
    struct trace sevens = run(data, size, 7);
    assert(whole.hash == bytes.hash && whole.hash == sevens.hash);
    assert(whole.requests == bytes.requests && whole.requests == sevens.requests);
    assert(whole.status == bytes.status && whole.status == sevens.status);
    return 0;
}
