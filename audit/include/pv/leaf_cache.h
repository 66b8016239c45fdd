/* Buffered reading of leaf hashes: of the level-0 tiles, and, for what is in none yet, of those
 * that stand beside the journal. */
#pragma once
#include "pv/err.h"
#include "pv/ratchet.h"

struct pv_leaf_cache;
/* dir_fd is duplicated. */
PV_MUST_CHECK int pv_leaf_cache_open(struct pv_leaf_cache **ret, int dir_fd, struct pv_err *err);
/* Leaf i as stored, borrowed until the next call; NULL when it is in neither. */
const uint8_t *pv_leaf_cache_get(struct pv_leaf_cache *c, uint64_t i);
void pv_leaf_cache_free(struct pv_leaf_cache *c);
