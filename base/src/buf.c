#include "pv/buf.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void pv_buf_init(struct pv_buf *b, size_t max_bytes)
{
    *b = (struct pv_buf){.max_bytes = max_bytes};
}

void pv_buf_done(struct pv_buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = b->cap = 0;
}

void pv_buf_reset(struct pv_buf *b)
{
    b->len = 0;
    b->failed = false;
}

static bool reserve(struct pv_buf *b, size_t more)
{
    if (b->failed)
        return false;
    if (more > b->max_bytes || b->len > b->max_bytes - more) {
        b->failed = true;
        return false;
    }
    if (b->len + more <= b->cap)
        return true;
    size_t cap = b->cap ? b->cap : 256;
    while (cap < b->len + more)
        cap *= 2;
    if (cap > b->max_bytes)
        cap = b->max_bytes;
    uint8_t *p = realloc(b->data, cap);
    if (!p) {
        b->failed = true;
        return false;
    }
    b->data = p;
    b->cap = cap;
    return true;
}

void pv_buf_raw(struct pv_buf *b, const void *p, size_t len)
{
    if (len == 0 || !reserve(b, len))
        return;
    memcpy(b->data + b->len, p, len);
    b->len += len;
}

static void big_endian(struct pv_buf *b, uint64_t v, size_t width)
{
    uint8_t out[8];
    for (size_t i = 0; i < width; i++)
        out[i] = (uint8_t)(v >> (8 * (width - 1 - i)));
    pv_buf_raw(b, out, width);
}

void pv_buf_u8(struct pv_buf *b, uint8_t v)
{
    pv_buf_raw(b, &v, 1);
}

void pv_buf_u16(struct pv_buf *b, uint16_t v)
{
    big_endian(b, v, 2);
}

void pv_buf_u32(struct pv_buf *b, uint32_t v)
{
    big_endian(b, v, 4);
}

void pv_buf_u64(struct pv_buf *b, uint64_t v)
{
    big_endian(b, v, 8);
}

void pv_buf_bytes(struct pv_buf *b, const void *p, size_t len)
{
    if (len > UINT32_MAX) {
        b->failed = true;
        return;
    }
    pv_buf_u32(b, (uint32_t)len);
    pv_buf_raw(b, p, len);
}

void pv_buf_str(struct pv_buf *b, const char *s)
{
    pv_buf_bytes(b, s, s ? strlen(s) : 0);
}

void pv_buf_printf(struct pv_buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0 || !reserve(b, (size_t)n))
        return;
    char *text = malloc((size_t)n + 1);
    if (!text) {
        b->failed = true;
        return;
    }
    va_start(ap, fmt);
    vsnprintf(text, (size_t)n + 1, fmt, ap);
    va_end(ap);
    pv_buf_raw(b, text, (size_t)n);
    free(text);
}

int pv_buf_check(const struct pv_buf *b, const char *what, struct pv_err *err)
{
    if (b->failed)
        return pv_refuse(err, EMSGSIZE, "%s is longer than its limit of %zu bytes", what,
                         b->max_bytes);
    return 0;
}

const uint8_t *pv_read_raw(struct pv_reader *r, size_t n)
{
    assert(r->off <= r->len);
    if (r->failed || n > r->len - r->off) {
        r->failed = true;
        return NULL;
    }
    const uint8_t *p = r->data + r->off;
    r->off += n;
    return p;
}

static uint64_t read_big_endian(struct pv_reader *r, size_t width)
{
    const uint8_t *p = pv_read_raw(r, width);
    uint64_t v = 0;
    for (size_t i = 0; p && i < width; i++)
        v = v << 8 | p[i];
    return v;
}

uint8_t pv_read_u8(struct pv_reader *r)
{
    return (uint8_t)read_big_endian(r, 1);
}

uint16_t pv_read_u16(struct pv_reader *r)
{
    return (uint16_t)read_big_endian(r, 2);
}

uint32_t pv_read_u32(struct pv_reader *r)
{
    return (uint32_t)read_big_endian(r, 4);
}

uint64_t pv_read_u64(struct pv_reader *r)
{
    return read_big_endian(r, 8);
}

const uint8_t *pv_read_bytes(struct pv_reader *r, size_t max, size_t *ret_len)
{
    size_t len = pv_read_u32(r);
    *ret_len = 0;
    if (len > max)
        r->failed = true;
    const uint8_t *p = pv_read_raw(r, len);
    if (p)
        *ret_len = len;
    return p;
}

void pv_read_str(struct pv_reader *r, char *out, size_t cap)
{
    size_t len = 0;
    const uint8_t *p = pv_read_bytes(r, cap - 1, &len);
    if (p && memchr(p, 0, len)) {
        r->failed = true;
        len = 0;
    }
    if (p && len)
        memcpy(out, p, len);
    out[len] = 0;
}

int pv_reader_end(const struct pv_reader *r, const char *what, struct pv_err *err)
{
    if (r->failed)
        return pv_refuse(err, EBADMSG, "%s is truncated or malformed", what);
    if (r->off != r->len)
        return pv_refuse(err, EBADMSG, "%s has %zu bytes too many", what, r->len - r->off);
    return 0;
}
