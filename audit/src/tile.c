#include "pv/tile.h"

#include "pv/merkle.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void pv_tile_path(int level, uint64_t n, unsigned width, char out[PV_TILE_PATH_MAX])
{
    char top[16], number[32] = "", suffix[8] = "";
    unsigned groups = 1;
    for (uint64_t rest = n / 1000; rest; rest /= 1000)
        groups++;
    assert(groups <= 5 && width >= 1 && width <= PV_TILE_WIDTH);
    size_t at = 0;
    for (unsigned g = groups; g-- > 0;) {
        uint64_t scale = 1;
        for (unsigned i = 0; i < g; i++)
            scale *= 1000;
        at += (size_t)snprintf(number + at, sizeof number - at, g ? "x%03u/" : "%03u",
                               (unsigned)(n / scale % 1000));
    }
    if (level == PV_TILE_ENTRIES)
        snprintf(top, sizeof top, "entries");
    else
        snprintf(top, sizeof top, "%d", level);
    if (width < PV_TILE_WIDTH)
        snprintf(suffix, sizeof suffix, ".p/%u", width);
    snprintf(out, PV_TILE_PATH_MAX, "tile/%s/%s%s", top, number, suffix);
}

void pv_tile_root(const uint8_t (*hashes)[PV_HASH_BYTES], unsigned n, uint8_t out[PV_HASH_BYTES])
{
    struct pv_frontier f;
    f.size = 0;
    for (unsigned i = 0; i < n; i++)
        pv_frontier_add(&f, hashes[i]);
    pv_frontier_root(&f, out);
}
