#include "keyed_hash.h"

#include <stdbool.h>
#include <stdlib.h>

uint8_t pv_keyed_hash_key[crypto_shorthash_KEYBYTES];

void pv_keyed_hash_init(void)
{
    static bool drawn;
    if (!drawn)
        arc4random_buf(pv_keyed_hash_key, sizeof pv_keyed_hash_key);
    drawn = true;
}
