/* Comparing the log's static files with the entries that a verifier reads. */
#pragma once
#include "pv/log_reader.h"

struct pv_tile_check;
/* Files that hold only entries from `lagging` on may be missing: the journal still has those.
 * `partial` is the size at which the partial files will be asked for. */
PV_MUST_CHECK int pv_tile_check_new(struct pv_tile_check **ret, int dir_fd, uint64_t lagging,
                                    uint64_t partial, struct pv_err *err);
/* Begins at entry first, a multiple of 256, instead of at 0. */
PV_MUST_CHECK int pv_tile_check_start(struct pv_tile_check *c, uint64_t first, struct pv_err *err);
/* Takes the next entry, of a detached one (then it is NULL) the stored hash alone. When it is the
 * last of 256, their root is in `root`, which the tree of all entries had to compute anyway.
 * 1 = a file that ends with it is not what the entries give; 0 = fine. */
PV_MUST_CHECK int pv_tile_check_add(struct pv_tile_check *c, const struct pv_log_entry *entry,
                                    const uint8_t leaf[PV_HASH_BYTES],
                                    const uint8_t root[PV_HASH_BYTES], struct pv_err *err);
/* The same of the partial files at the present size. */
PV_MUST_CHECK int pv_tile_check_partial(struct pv_tile_check *c, struct pv_err *err);
/* Whether files were missing that need not be there for checking, but for those who read nothing
 * else. */
bool pv_tile_check_missing(const struct pv_tile_check *c);
/* What was found when it was 1; valid until the next call. */
const char *pv_tile_check_what(const struct pv_tile_check *c);
void pv_tile_check_free(struct pv_tile_check *c);
