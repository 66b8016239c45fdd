/* How long the tracer waits for what it traces: no process of a function may hold it up for good.
 * A timer interrupts the waiting thread now and then, so that it can look at the clock. */
#pragma once
#include "pv/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <time.h>

struct pv_patience {
    timer_t timer; /* signals the thread that made it */
    bool made;
    uint64_t end_ns;             /* monotonic */
    const atomic_bool *stopping; /* true: nothing is worth waiting for any more */
};

/* Makes the calling thread's, once; stopping is borrowed. */
PV_MUST_CHECK int pv_patience_make(struct pv_patience *p, const atomic_bool *stopping,
                                   struct pv_err *err);
/* From now on calls of the thread that wait are interrupted, once it has lasted longer. */
PV_MUST_CHECK int pv_patience_start(struct pv_patience *p, uint64_t limit_ns, struct pv_err *err);
void pv_patience_stop(struct pv_patience *p);
bool pv_patience_over(const struct pv_patience *p);
/* When that thread is gone. */
void pv_patience_done(struct pv_patience *p);
