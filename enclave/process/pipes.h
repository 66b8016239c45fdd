/* The pipes of one instance: [0] to read, [1] to write. */
#pragma once
#include "pv/err.h"

#include <stdbool.h>

struct pv_pipes {
    int in[2], out[2], err[2];
    int control[2]; /* SEQPACKET, [0] the owner's */
};

#define PV_PIPES_NONE ((struct pv_pipes){{-1, -1}, {-1, -1}, {-1, -1}, {-1, -1}})

/* Close-on-exec; the owner's ends of the pipes are non-blocking. What was opened before a failure
 * is the caller's to close. */
PV_MUST_CHECK int pv_pipes_open(struct pv_pipes *p, bool control, struct pv_err *err);
void pv_pipes_close(struct pv_pipes *p);
