/* RFC 6962 Merkle tree over log entries (section 2.1): leaf = SHA-256(0x00 || entry), node =
 * SHA-256(0x01 || left || right). Only the right-hand frontier is kept: one hash per set bit of the
 * size, so appending costs one hash amortised and a root at most 63. */
#pragma once
#include "pv/ratchet.h"

#include <stddef.h>
#include <stdint.h>

enum { PV_TREE_LEVELS = 64 };

struct pv_frontier {
    uint64_t size;
    uint8_t node[PV_TREE_LEVELS][PV_HASH_BYTES]; /* node[h] counts where bit h of size is set */
};

void pv_leaf_hash(const void *entry, size_t len, uint8_t out[PV_HASH_BYTES]);
/* out may be one of the two. */
void pv_node_hash(const uint8_t left[PV_HASH_BYTES], const uint8_t right[PV_HASH_BYTES],
                  uint8_t out[PV_HASH_BYTES]);
/* An empty tree is a zeroed frontier. */
void pv_frontier_add(struct pv_frontier *f, const uint8_t leaf[PV_HASH_BYTES]);
/* The same; when it completes a subtree of 2^height leaves, the root of that goes to ret_subtree.
 */
void pv_frontier_add_above(struct pv_frontier *f, const uint8_t leaf[PV_HASH_BYTES],
                           unsigned height, uint8_t ret_subtree[PV_HASH_BYTES]);
/* The root; of the empty tree SHA-256 of nothing. */
void pv_frontier_root(const struct pv_frontier *f, uint8_t out[PV_HASH_BYTES]);
