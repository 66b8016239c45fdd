/* Entries that the log does not hold itself any more: which, and where an archive of them is. */
#pragma once
#include "pv/archive.h"

/* An attached archive that holds the entry: 1, and fd (owned by the caller) with the offset of the
 * frame of entry first; 0 = there is none. */
PV_MUST_CHECK int pv_archive_find(int dir_fd, uint64_t seq, int *ret_fd, uint64_t *ret_offset,
                                  uint64_t *ret_first, uint64_t *ret_end, struct pv_err *err);
/* Bundles below entry end, a multiple of 256, that still exist begin with this entry, if the lower
 * ones were removed first. */
uint64_t pv_detached_kept(int dir_fd, uint64_t end);
