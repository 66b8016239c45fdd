/* Removal of packages that nobody uses. */
#pragma once
#include "supervisor.h"

/* Takes all packages out of the store but those of the n measurements at used and those of hosts,
 * and removes them in a child process. -EBUSY while a package is being imported, which may be one
 * of them, or an earlier removal runs. */
PV_MUST_CHECK int pv_unused_remove(struct pv_supervisor *s, const uint8_t *used, size_t n,
                                   struct pv_err *err);
