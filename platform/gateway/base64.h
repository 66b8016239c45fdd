/* Base 64 (RFC 4648 section 4), decoding only. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes padded base 64 into out (cap bytes). False for anything else, or when it does not fit. */
bool gw_base64_decode(const char *text, size_t len, uint8_t *out, size_t cap, size_t *ret_len);
