/* Host descriptors that open files of a domain rest on. Their numbers are no part of a snapshot: an
 * open file names a slot. What was open at the snapshot stays open for good; what a run opened is
 * closed by the reset. */
#pragma once
#include "pv/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pv_hostfds {
    int *fd;    /* owned array of max entries; -1 where a slot is free */
    bool *kept; /* owned; belongs to the snapshot */
    uint32_t max;
    uint32_t high;  /* no slot at or above was ever used */
    uint32_t loose; /* slots in use that are not kept */
};

PV_MUST_CHECK int pv_hostfds_init(struct pv_hostfds *h, uint32_t max, struct pv_err *err);
void pv_hostfds_done(struct pv_hostfds *h);
/* Takes fd over and returns its slot; -ENFILE (fd closed) when there is none. */
PV_MUST_CHECK int pv_hostfds_add(struct pv_hostfds *h, int fd);
/* The open file is gone: closes the descriptor unless it belongs to the snapshot. */
void pv_hostfds_drop(struct pv_hostfds *h, int slot);
int pv_hostfds_get(const struct pv_hostfds *h, int slot);
/* From now on everything open belongs to the snapshot. */
void pv_hostfds_seal(struct pv_hostfds *h);
/* Duplicates the snapshot's descriptors; directories are opened anew, as they have an offset. */
PV_MUST_CHECK int pv_hostfds_clone(const struct pv_hostfds *from, struct pv_hostfds *to,
                                   struct pv_err *err);
void pv_hostfds_reset(struct pv_hostfds *h);
