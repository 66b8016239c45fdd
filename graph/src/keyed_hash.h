/* uthash with SipHash under a random key: paths and names are chosen by attackers, who must not be
 * able to aim at one bucket. Include instead of uthash.h. */
#pragma once
#include <sodium.h>
#include <stdint.h>
#include <string.h>

extern uint8_t pv_keyed_hash_key[crypto_shorthash_KEYBYTES];

static inline unsigned pv_keyed_hash(const void *p, size_t len)
{
    uint8_t out[crypto_shorthash_BYTES];
    unsigned v;
    (void)crypto_shorthash(out, p, len, pv_keyed_hash_key);
    memcpy(&v, out, sizeof v);
    return v;
}
/* Draws the key once per process. */
void pv_keyed_hash_init(void);

#define HASH_NONFATAL_OOM 1
#define HASH_FUNCTION(keyptr, keylen, hashv) ((hashv) = pv_keyed_hash(keyptr, keylen))
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#include <uthash.h>
#pragma GCC diagnostic pop
