/* Names and shapes of C2SP tlog-tiles: the log as static files of 256 hashes or entries each. */
#pragma once
#include "pv/ratchet.h"

enum {
    PV_TILE_WIDTH = 256,
    PV_TILE_HEIGHT = 8, /* of the subtree that one tile is */
    PV_TILE_BYTES = PV_TILE_WIDTH * PV_HASH_BYTES,
    PV_TILE_LEVELS = 8,   /* 256^8 entries */
    PV_TILE_ENTRIES = -1, /* as a level: the bundles of entries */
    PV_TILE_PATH_MAX = 64,
};

/* "tile/LEVEL/xNNN/NNN", with ".p/WIDTH" for a width below 256. */
void pv_tile_path(int level, uint64_t n, unsigned width, char out[PV_TILE_PATH_MAX]);
/* Root of the tree over 1 to 256 hashes: what a full tile is in the level above. */
void pv_tile_root(const uint8_t (*hashes)[PV_HASH_BYTES], unsigned n, uint8_t out[PV_HASH_BYTES]);
