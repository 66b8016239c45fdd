#include "pv/event.h"

#include "pv/clock.h"

#include <string.h>

enum { EVENT_VERSION = 1, NUMBER_BYTES = 8 };

void pv_event_init(struct pv_event *e, enum pv_kind kind, const struct pv_call_id *invocation)
{
    pv_event_init_at(e, kind, invocation, pv_now_real_ns());
}

void pv_event_init_at(struct pv_event *e, enum pv_kind kind, const struct pv_call_id *invocation,
                      uint64_t time_ns)
{
    /* The values are not cleared: n says how many of them count. */
    e->kind = (uint16_t)kind;
    memset(&e->domain, 0, sizeof e->domain);
    e->epoch = 0;
    e->dseq = 0;
    e->time_ns = time_ns;
    if (invocation)
        e->invocation = *invocation;
    else
        memset(&e->invocation, 0, sizeof e->invocation);
    e->n = 0;
}

static void add(struct pv_event *e, struct pv_value v)
{
    if (e->n < PV_EVENT_FIELDS_MAX)
        e->v[e->n] = v;
    e->n++; /* one too many is found out by encode */
}

void pv_event_u64(struct pv_event *e, uint64_t v)
{
    add(e, (struct pv_value){.u64 = v, .len = NUMBER_BYTES});
}

void pv_event_text(struct pv_event *e, const char *s)
{
    pv_event_bytes(e, s ? s : "", s ? strlen(s) : 0);
}

void pv_event_bytes(struct pv_event *e, const void *p, size_t len)
{
    /* Anything too long for an event is refused by encode; the cast must not shorten it before. */
    uint32_t n = len > UINT32_MAX ? UINT32_MAX : (uint32_t)len;
    add(e, (struct pv_value){.bytes = p ? p : (const uint8_t *)"", .len = p ? n : 0});
}

static uint8_t *put_be(uint8_t *out, uint64_t v, unsigned width)
{
    for (unsigned i = 0; i < width; i++)
        out[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
    return out + width;
}

enum { HEAD_BYTES = 1 + 2 + PV_DOMAIN_ID_BYTES + 4 + 8 + 8 + PV_CALL_ID_BYTES };

static void encode_head(const struct pv_event *e, struct pv_buf *b)
{
    uint8_t head[HEAD_BYTES];
    uint8_t *p = put_be(head, EVENT_VERSION, 1);
    p = put_be(p, e->kind, 2);
    memcpy(p, e->domain.bytes, PV_DOMAIN_ID_BYTES);
    p = put_be(p + PV_DOMAIN_ID_BYTES, e->epoch, 4);
    p = put_be(p, e->dseq, 8);
    p = put_be(p, e->time_ns, 8);
    memcpy(p, e->invocation.bytes, PV_CALL_ID_BYTES);
    pv_buf_raw(b, head, sizeof head);
}

static bool value_fits(const struct pv_field_schema *f, const struct pv_value *v)
{
    switch (f->type) {
    case PV_F_U64:
        return v->bytes == NULL && v->len == NUMBER_BYTES;
    case PV_F_TEXT:
        return v->bytes && !memchr(v->bytes, 0, v->len);
    case PV_F_BYTES:
        return v->bytes != NULL;
    }
    return false;
}

static void encode_value(const struct pv_value *v, struct pv_buf *b)
{
    uint8_t raw[4 + NUMBER_BYTES];
    uint8_t *p = put_be(raw, v->len, 4);
    if (v->bytes) {
        pv_buf_raw(b, raw, 4);
        pv_buf_raw(b, v->bytes, v->len);
        return;
    }
    put_be(p, v->u64, NUMBER_BYTES);
    pv_buf_raw(b, raw, sizeof raw);
}

int pv_event_encode(const struct pv_event *e, struct pv_buf *b, struct pv_err *err)
{
    const struct pv_kind_schema *s = pv_kind_schema(e->kind);
    if (!s)
        return pv_refuse(err, EINVAL, "event kind %u is unknown", e->kind);
    if (e->n != s->n_fields)
        return pv_refuse(err, EINVAL, "event '%s' has %u fields, not %u", s->name, e->n,
                         s->n_fields);
    size_t start = b->len, total = HEAD_BYTES;
    for (unsigned i = 0; i < e->n; i++) {
        if (!value_fits(&s->fields[i], &e->v[i]))
            return pv_refuse(err, EINVAL, "field '%s' of event '%s' has the wrong type",
                             s->fields[i].name, s->name);
        total += 4 + (size_t)e->v[i].len;
    }
    if (total > PV_EVENT_MAX)
        return pv_refuse(err, EMSGSIZE, "event '%s' has %zu bytes, over the limit of %d", s->name,
                         total, PV_EVENT_MAX);
    encode_head(e, b);
    for (unsigned i = 0; i < e->n; i++)
        encode_value(&e->v[i], b);
    if (b->failed) {
        b->len = start;
        return pv_buf_check(b, "buffer of events", err);
    }
    return 0;
}

static int decode_value(struct pv_reader *r, const struct pv_field_schema *f, struct pv_value *v)
{
    size_t len;
    const uint8_t *p = pv_read_bytes(r, PV_EVENT_MAX, &len);
    if (!p)
        return -EBADMSG;
    *v = (struct pv_value){.bytes = p, .len = (uint32_t)len};
    switch (f->type) {
    case PV_F_U64:
        if (len != NUMBER_BYTES)
            return -EBADMSG;
        for (unsigned i = 0; i < NUMBER_BYTES; i++)
            v->u64 = v->u64 << 8 | p[i];
        v->bytes = NULL;
        return 0;
    case PV_F_TEXT:
        return memchr(p, 0, len) ? -EBADMSG : 0;
    case PV_F_BYTES:
        return 0;
    }
    return -EBADMSG;
}

static void decode_head(struct pv_reader *r, struct pv_event *e)
{
    e->kind = pv_read_u16(r);
    const uint8_t *domain = pv_read_raw(r, PV_DOMAIN_ID_BYTES);
    if (domain)
        memcpy(e->domain.bytes, domain, PV_DOMAIN_ID_BYTES);
    e->epoch = pv_read_u32(r);
    e->dseq = pv_read_u64(r);
    e->time_ns = pv_read_u64(r);
    const uint8_t *invocation = pv_read_raw(r, PV_CALL_ID_BYTES);
    if (invocation)
        memcpy(e->invocation.bytes, invocation, PV_CALL_ID_BYTES);
}

int pv_event_decode(const void *p, size_t len, struct pv_event *ret, struct pv_err *err)
{
    if (len > PV_EVENT_MAX)
        return pv_refuse(err, EBADMSG, "event has %zu bytes, over the limit of %d", len,
                         PV_EVENT_MAX);
    struct pv_reader r = pv_reader_of(p, len);
    struct pv_event e;
    unsigned version = pv_read_u8(&r);
    decode_head(&r, &e);
    if (r.failed)
        return pv_reader_end(&r, "event", err);
    if (version != EVENT_VERSION)
        return pv_refuse(err, EBADMSG, "event format version %u is unknown", version);
    const struct pv_kind_schema *s = pv_kind_schema(e.kind);
    if (!s)
        return pv_refuse(err, EBADMSG, "event kind %u is unknown", e.kind);
    for (e.n = 0; e.n < s->n_fields; e.n++)
        if (decode_value(&r, &s->fields[e.n], &e.v[e.n]) < 0)
            return pv_refuse(err, EBADMSG, "field '%s' of event '%s' is malformed",
                             s->fields[e.n].name, s->name);
    PV_TRY(pv_reader_end(&r, s->name, err));
    *ret = e;
    return 0;
}

const struct pv_value *pv_event_field(const struct pv_event *e, const char *name)
{
    const struct pv_kind_schema *s = pv_kind_schema(e->kind);
    for (unsigned i = 0; s && i < s->n_fields && i < e->n; i++)
        if (strcmp(s->fields[i].name, name) == 0)
            return &e->v[i];
    return NULL;
}

uint64_t pv_event_get_u64(const struct pv_event *e, const char *name)
{
    const struct pv_value *v = pv_event_field(e, name);
    return v ? v->u64 : 0;
}

void pv_event_get_text(const struct pv_event *e, const char *name, char *out, size_t cap)
{
    const struct pv_value *v = pv_event_field(e, name);
    size_t n = v && v->bytes ? v->len : 0;
    if (n > cap - 1)
        n = cap - 1;
    for (size_t i = 0; i < n; i++)
        out[i] = v->bytes[i] ? (char)v->bytes[i] : ' ';
    out[n] = 0;
}
