/* Writing the log's static files (C2SP tlog-tiles, pv/tile.h) out of its journal. Only what lies
 * under a checkpoint becomes a tile. */
#pragma once
#include "pv/err.h"
#include "pv/log_reader.h"
#include "pv/proof.h"

struct pv_tiles;
/* dir_fd is duplicated. */
PV_MUST_CHECK int pv_tiles_new(struct pv_tiles **ret, int dir_fd, struct pv_err *err);
/* The next leaf of those that stand in durable tiles already. */
void pv_tiles_seed(struct pv_tiles *t, const uint8_t leaf[PV_HASH_BYTES]);
/* The same of all leaves below size, a multiple of 256, at once: r is the tree of that size. */
PV_MUST_CHECK int pv_tiles_resume(struct pv_tiles *t, struct pv_tree_reader *r, uint64_t size,
                                  struct pv_err *err);
/* Goes on behind the leaves seeded, which is where the journal begins and a multiple of 256.
 * Tiles that follow are compared and made good, since a power failure may have taken them. */
PV_MUST_CHECK int pv_tiles_start(struct pv_tiles *t, struct pv_err *err);
/* Writes every full bundle and tile below size. After a failure it goes on there when called again.
 */
PV_MUST_CHECK int pv_tiles_advance(struct pv_tiles *t, uint64_t size, struct pv_err *err);
/* As advance, then the partial ones of exactly that size, for a checkpoint about to be published.
 */
PV_MUST_CHECK int pv_tiles_publish(struct pv_tiles *t, uint64_t size, struct pv_err *err);
/* Begins, if told to and a segment of the journal waits for it, a sync of all that is written by
 * now, and takes note of one that is done. Waits for nothing: a thread syncs the whole file system
 * (syncfs), which may take long where others have written much. -EIO when a sync failed. */
PV_MUST_CHECK int pv_tiles_sync(struct pv_tiles *t, bool begin, struct pv_err *err);
/* Entries below it stand in durable files. */
uint64_t pv_tiles_durable(const struct pv_tiles *t);
void pv_tiles_free(struct pv_tiles *t);
