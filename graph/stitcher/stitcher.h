/* The stitcher's own parts. */
#pragma once
#include "pv/err.h"

/* Loads the list of system calls the stitcher needs once it runs; anything else fails with EPERM.
 */
PV_MUST_CHECK int stitcher_confine(struct pv_err *err);
