#include "pv/id.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

static const char base32[] = "0123456789abcdefghjkmnpqrstvwxyz";

struct pv_call_id pv_call_id_new(void)
{
    struct pv_call_id id;
    do
        arc4random_buf(id.bytes, sizeof id.bytes);
    while (pv_call_id_is_none(&id));
    return id;
}

struct pv_domain_id pv_domain_id_new(void)
{
    struct pv_domain_id id;
    arc4random_buf(id.bytes, sizeof id.bytes);
    return id;
}

bool pv_call_id_is_none(const struct pv_call_id *id)
{
    static const struct pv_call_id none;
    return memcmp(id, &none, sizeof none) == 0;
}

bool pv_call_id_equal(const struct pv_call_id *a, const struct pv_call_id *b)
{
    return memcmp(a, b, sizeof *a) == 0;
}

void pv_call_id_print(const struct pv_call_id *id, char out[PV_CALL_ID_CHARS + 1])
{
    for (size_t i = 0; i < PV_CALL_ID_CHARS; i++) {
        unsigned v = 0;
        for (size_t bit = i * 5; bit < i * 5 + 5; bit++)
            v = v << 1 | ((unsigned)id->bytes[bit / 8] >> (7 - bit % 8) & 1u);
        out[i] = base32[v];
    }
    out[PV_CALL_ID_CHARS] = 0;
}

bool pv_call_id_parse(const char *text, struct pv_call_id *ret)
{
    struct pv_call_id id = {{0}};
    if (strlen(text) != PV_CALL_ID_CHARS)
        return false;
    for (size_t i = 0; i < PV_CALL_ID_CHARS; i++) {
        char c = text[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c + 32);
        const char *at = strchr(base32, c);
        if (!at)
            return false;
        unsigned v = (unsigned)(at - base32);
        for (size_t k = 0; k < 5; k++) {
            size_t bit = i * 5 + k;
            if (v >> (4 - k) & 1u)
                id.bytes[bit / 8] = (uint8_t)(id.bytes[bit / 8] | 1u << (7 - bit % 8));
        }
    }
    *ret = id;
    return true;
}

void pv_hex(const void *p, uint64_t len, char *out)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *b = p;
    for (uint64_t i = 0; i < len; i++) {
        out[2 * i] = digits[b[i] >> 4];
        out[2 * i + 1] = digits[b[i] & 15];
    }
    out[2 * len] = 0;
}

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool pv_unhex(const char *text, void *out, uint64_t len)
{
    uint8_t *b = out;
    if (strlen(text) != 2 * len)
        return false;
    for (uint64_t i = 0; i < len; i++) {
        int hi = nibble(text[2 * i]), lo = nibble(text[2 * i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        b[i] = (uint8_t)(hi << 4 | lo);
    }
    return true;
}
