/* Short printable ids. A call id is 80 random bits, printed as 16 characters of Crockford's base 32
 * in lower case; it is also the nonce that links both sides' signed events. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum { PV_CALL_ID_BYTES = 10, PV_CALL_ID_CHARS = 16, PV_DOMAIN_ID_BYTES = 8 };

struct pv_call_id {
    uint8_t bytes[PV_CALL_ID_BYTES]; /* all zero: none */
};
struct pv_domain_id {
    uint8_t bytes[PV_DOMAIN_ID_BYTES];
};

/* A fresh random id; never all zero. */
struct pv_call_id pv_call_id_new(void);
struct pv_domain_id pv_domain_id_new(void);
bool pv_call_id_is_none(const struct pv_call_id *id);
bool pv_call_id_equal(const struct pv_call_id *a, const struct pv_call_id *b);
/* out: PV_CALL_ID_CHARS + 1 bytes. */
void pv_call_id_print(const struct pv_call_id *id, char out[PV_CALL_ID_CHARS + 1]);
/* Accepts exactly PV_CALL_ID_CHARS characters, either case. */
bool pv_call_id_parse(const char *text, struct pv_call_id *ret);
/* Lower-case hex, 2 * len + 1 bytes with the NUL. */
void pv_hex(const void *p, uint64_t len, char *out);
/* Parses exactly 2 * len hex digits followed by NUL. */
bool pv_unhex(const char *text, void *out, uint64_t len);
