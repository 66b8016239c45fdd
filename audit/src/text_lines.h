/* Lines and numbers of the text formats (notes, proofs, requests). */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The next line without its newline, and moves on; NULL when no whole line is left. */
const char *pv_next_line(const char **at, const char *end, size_t *ret_len);
/* A decimal number without sign or leading zeroes that fits 64 bits. */
bool pv_parse_decimal(const char *s, size_t len, uint64_t *ret);
