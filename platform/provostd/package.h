/* Import of function packages: a safe copy into the store and its Merkle measurement
 * (docs/formats/package.md). */
#pragma once
#include "pv/err.h"
#include "pv/limits.h"
#include "pv/measure.h"

#include <stdbool.h>
#include <stdint.h>

struct pv_package {
    uint8_t measurement[PV_MEASUREMENT_BYTES];
    char command[PV_PATH_MAX]; /* default entry inside the sandbox, or "" */
    char hint[256];            /* why there is no default entry and what to do; "" when there is */
    const char *kind;          /* "file" or "directory" */
    bool mended;               /* the stored copy had been changed, and was replaced */
};

struct pv_package_source {
    const char *root;   /* a directory's path or "/" */
    const char *path;   /* beneath root */
    const char *closed; /* path of a directory nothing of which may be taken (the state directory:
                           its keys and secrets are no program), or NULL */
};

/* Copies path (a regular file or a directory) into store_fd
 * as a directory named by its measurement in hex, durably and in one step; a package that is there
 * already is measured and left as it is, or replaced when it is not what its name says. Only
 * regular files, directories and relative symbolic links that stay inside (".." at their start
 * only) are taken; modes become 0444 or 0555. The source may change meanwhile: what is measured is
 * what was written. pv_crypto_init must have been called. Blocks for as long as the copy takes. */
PV_MUST_CHECK int pv_package_import(int store_fd, const struct pv_package_source *source,
                                    struct pv_package *ret, struct pv_err *err);
/* Whether a package is in use. */
typedef bool pv_package_used(const void *ctx, const uint8_t measurement[PV_MEASUREMENT_BYTES]);
/* Takes the names of all packages that are not used, durably, and tells how many they were. */
PV_MUST_CHECK int pv_package_set_unused_aside(int store_fd, pv_package_used *used, const void *ctx,
                                              unsigned *ret_n, struct pv_err *err);
/* Removes what was set aside. Blocks for as long as that takes. */
PV_MUST_CHECK int pv_package_remove_unused(int store_fd, struct pv_err *err);
/* Removes half-done imports and what was set aside, of a killed run. */
PV_MUST_CHECK int pv_package_sweep(int store_fd, struct pv_err *err);
