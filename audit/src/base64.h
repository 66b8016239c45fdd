/* Standard base64 (RFC 4648 section 4), one encoding only. */
#pragma once
#include "pv/buf.h"

#include <sodium.h>

#define PV_BASE64_CHARS(bytes) sodium_base64_ENCODED_LEN(bytes, sodium_base64_VARIANT_ORIGINAL)
enum { PV_BASE64_BYTES_MAX = 8448 };

/* Appends; at most PV_BASE64_BYTES_MAX bytes. */
void pv_base64_put(struct pv_buf *out, const uint8_t *p, size_t len);
/* Decodes all of text into at most cap bytes. */
bool pv_base64_get(const char *text, size_t len, uint8_t *out, size_t cap, size_t *ret_len);
/* The same, of exactly want bytes. */
bool pv_base64_exactly(const char *text, size_t len, uint8_t *out, size_t want);
