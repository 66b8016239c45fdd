/* The end of an append-only file: after a failed write the file is cut back to its last good
 * length, so that a retry never leaves half a record in the middle. */
#pragma once
#include "pv/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pv_tail {
    int fd;            /* owned; -1: none */
    uint64_t bytes;    /* good length */
    uint64_t reserved; /* length for which the file system has set blocks aside */
    bool dirty;        /* may hold what no sync has made durable */
    bool torn;         /* a failed write could not be cut off yet */
};

/* Opens or creates name under dir_fd at its present length. A new file's name must be made as
 * durable as what is written into it: sync its directory. */
PV_MUST_CHECK int pv_tail_open(struct pv_tail *t, int dir_fd, const char *name, struct pv_err *err);
/* Sets blocks aside ahead of the end, so that a sync need not find any. Only an economy: where the
 * file system cannot, nothing is lost. */
void pv_tail_reserve(struct pv_tail *t);
PV_MUST_CHECK int pv_tail_append(struct pv_tail *t, const void *p, size_t len, struct pv_err *err);
/* Cuts the file to that length. */
PV_MUST_CHECK int pv_tail_cut(struct pv_tail *t, uint64_t bytes, struct pv_err *err);
/* fdatasync, unless all that the file holds was synced already. */
PV_MUST_CHECK int pv_tail_sync(struct pv_tail *t, struct pv_err *err);
void pv_tail_close(struct pv_tail *t);
