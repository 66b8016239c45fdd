#include "pv/merkle.h"

#include <string.h>

void pv_node_hash(const uint8_t left[PV_HASH_BYTES], const uint8_t right[PV_HASH_BYTES],
                  uint8_t out[PV_HASH_BYTES])
{
    uint8_t pair[1 + 2 * PV_HASH_BYTES] = {0x01};
    memcpy(pair + 1, left, PV_HASH_BYTES);
    memcpy(pair + 1 + PV_HASH_BYTES, right, PV_HASH_BYTES);
    pv_sha256(pair, sizeof pair, out);
}

void pv_leaf_hash(const void *entry, size_t len, uint8_t out[PV_HASH_BYTES])
{
    static const uint8_t prefix = 0x00;
    pv_sha256_pair(&prefix, 1, entry, len, out);
}

void pv_frontier_add_above(struct pv_frontier *f, const uint8_t leaf[PV_HASH_BYTES],
                           unsigned height, uint8_t ret_subtree[PV_HASH_BYTES])
{
    uint8_t carry[PV_HASH_BYTES];
    unsigned h = 0;
    memcpy(carry, leaf, sizeof carry);
    for (; f->size >> h & 1; h++) {
        if (h == height)
            memcpy(ret_subtree, carry, sizeof carry);
        pv_node_hash(f->node[h], carry, carry);
    }
    if (h == height)
        memcpy(ret_subtree, carry, sizeof carry);
    memcpy(f->node[h], carry, sizeof carry);
    f->size++;
}

void pv_frontier_add(struct pv_frontier *f, const uint8_t leaf[PV_HASH_BYTES])
{
    uint8_t itself[PV_HASH_BYTES]; /* the leaf is the subtree of height 0 */
    pv_frontier_add_above(f, leaf, 0, itself);
}

void pv_frontier_root(const struct pv_frontier *f, uint8_t out[PV_HASH_BYTES])
{
    uint8_t acc[PV_HASH_BYTES];
    unsigned h = 0;
    if (f->size == 0) {
        pv_sha256("", 0, out);
        return;
    }
    while (!(f->size >> h & 1))
        h++;
    memcpy(acc, f->node[h], sizeof acc);
    for (h++; h < PV_TREE_LEVELS && f->size >> h; h++)
        if (f->size >> h & 1)
            pv_node_hash(f->node[h], acc, acc);
    memcpy(out, acc, sizeof acc);
}
