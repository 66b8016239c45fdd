#include "base64.h"

#include <assert.h>
#include <string.h>

void pv_base64_put(struct pv_buf *out, const uint8_t *p, size_t len)
{
    char text[PV_BASE64_CHARS(PV_BASE64_BYTES_MAX)];
    assert(len <= PV_BASE64_BYTES_MAX);
    sodium_bin2base64(text, sizeof text, p, len, sodium_base64_VARIANT_ORIGINAL);
    pv_buf_raw(out, text, strlen(text));
    explicit_bzero(text, sizeof text); /* it may have been a key */
}

bool pv_base64_get(const char *text, size_t len, uint8_t *out, size_t cap, size_t *ret_len)
{
    const char *end = NULL;
    /* libsodium 1.0.18 takes 0xAF for '/': bytes above 0x7F are no base64. */
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] >= 0x80)
            return false;
    return sodium_base642bin(out, cap, text, len, NULL, ret_len, &end,
                             sodium_base64_VARIANT_ORIGINAL) == 0 &&
           end == text + len;
}

bool pv_base64_exactly(const char *text, size_t len, uint8_t *out, size_t want)
{
    size_t got = 0;
    return pv_base64_get(text, len, out, want, &got) && got == want;
}
