/* The stitcher, and the comparison of the two accounts, under events that no honest producer would
 * send: any kind, any order, ids that collide, strings that bite. It must take every event that the
 * decoder takes, and the rows must not depend on where transactions end. */
#include "compare.h"
#include "pv/reconcile.h"
#include "stitch_core.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { EVENTS_MAX = 60 };

struct source {
    const uint8_t *p;
    size_t left;
    uint64_t dseq;
};

static uint8_t take(struct source *s)
{
    if (s->left == 0)
        return 0;
    s->left--;
    return *s->p++;
}

/* Mostly small, so that ids meet; sometimes at the edges of what fits. */
static uint64_t number(struct source *s)
{
    static const uint64_t edges[] = {0, UINT64_MAX, INT64_MAX, 1ull << 63, UINT32_MAX, 1ull << 32};
    uint8_t b = take(s);
    return b < 240 ? b % 12 : edges[b % (sizeof edges / sizeof *edges)];
}

static void text(struct source *s, struct pv_event *e)
{
    static const char *const known[] = {"file",
                                        "pipe",
                                        "socket",
                                        "fifo",
                                        "/tmp/x",
                                        "/usr/lib/libc.so",
                                        "/var/openfaas/secrets/key",
                                        "CONNECT",
                                        "GET",
                                        "127.0.0.1",
                                        "ok",
                                        "open",
                                        "request",
                                        "ebpf loaded",
                                        "",
                                        "'; DROP TABLE event; --",
                                        "\x1b[31m\xff\xfe"};
    pv_event_text(e, known[take(s) % (sizeof known / sizeof *known)]);
}

static void bytes(struct source *s, const char *name, struct pv_event *e)
{
    uint8_t v[PV_HASH_BYTES];
    bool call = strcmp(name, "caller") == 0 || strcmp(name, "callee") == 0;
    memset(v, take(s) % 6, sizeof v);
    pv_event_bytes(e, v, call ? PV_CALL_ID_BYTES : take(s) % (sizeof v + 1));
}

/* Length of an entry written to out, 0: none could be made. */
static size_t make(struct source *s, uint8_t *out)
{
    struct pv_event e;
    struct pv_err err = PV_ERR_INIT;
    struct pv_call_id call;
    pv_autobuf struct pv_buf b = {0};
    const struct pv_kind_schema *schema = pv_kind_schema((enum pv_kind)(take(s) % 100));
    if (!schema)
        return 0;
    memset(call.bytes, take(s) % 6, sizeof call.bytes);
    pv_event_init(&e, schema->kind, &call);
    memset(e.domain.bytes, take(s) % 4, sizeof e.domain.bytes);
    e.dseq = s->dseq++;
    e.time_ns = 1000000 + number(s);
    for (unsigned i = 0; i < schema->n_fields; i++) {
        if (schema->fields[i].type == PV_F_U64)
            pv_event_u64(&e, number(s));
        else if (schema->fields[i].type == PV_F_TEXT)
            text(s, &e);
        else
            bytes(s, schema->fields[i].name, &e);
    }
    pv_buf_init(&b, PV_EVENT_MAX);
    if (pv_event_encode(&e, &b, &err) < 0)
        return 0;
    memcpy(out, b.data, b.len);
    memset(out + b.len, 0, PV_TAG_BYTES);
    return b.len + PV_TAG_BYTES;
}

static int pass_over(void *ctx, const struct pv_finding *f)
{
    (void)ctx;
    return f->text[0] ? 0 : -EINVAL;
}

static void must(int rc)
{
    if (rc < 0)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pv_err err = PV_ERR_INIT;
    PV_CLEANUP(pv_stitch_close) struct pv_stitch *whole = NULL;
    PV_CLEANUP(pv_stitch_close) struct pv_stitch *parts = NULL;
    struct source s = {.p = data, .left = size};
    PV_CLEANUP(pv_reconcile_free) struct pv_reconcile *accounts = NULL;
    struct pv_reconcile_totals totals;
    struct pv_difference d;
    struct pv_event e;
    uint8_t entry[PV_EVENT_MAX + PV_TAG_BYTES];
    uint64_t seq = 0;
    must(pv_stitch_open(&whole, ":memory:", &err));
    must(pv_stitch_open(&parts, ":memory:", &err));
    must(pv_reconcile_new(&accounts, 0, UINT64_MAX, pass_over, NULL, &err));
    while (s.left > 0 && seq < EVENTS_MAX) {
        size_t len = make(&s, entry);
        if (len == 0)
            continue;
        must(pv_stitch_entry(whole, seq, entry, len, &err));
        must(pv_stitch_entry(parts, seq, entry, len, &err));
        must(pv_event_decode(entry, len - PV_TAG_BYTES, &e, &err));
        must(pv_reconcile_event(accounts, seq, &e, &err));
        seq++;
        if (take(&s) % 3 == 0)
            must(pv_stitch_commit(parts, &err));
    }
    must(pv_reconcile_end(accounts, &totals, &err));
    must(pv_stitch_commit(whole, &err));
    must(pv_stitch_commit(parts, &err));
    if (pv_compare_derived(whole->db, parts->db, &d, &err) != 0)
        abort();
    return 0;
}
