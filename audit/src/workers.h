/* A few threads that run jobs; whoever waits for a job helps meanwhile, so that none are needed. */
#pragma once
#include "pv/err.h"

#include <stdbool.h>

enum { PV_WORKERS_MAX = 64 };

struct pv_job {
    void (*run)(struct pv_job *job);
    bool done;           /* under the workers' lock */
    struct pv_job *next; /* in the queue */
};

struct pv_workers;
/* threads may be 0. */
PV_MUST_CHECK int pv_workers_new(struct pv_workers **ret, unsigned threads, struct pv_err *err);
/* The job belongs to the workers until a wait for it has returned. */
void pv_workers_submit(struct pv_workers *w, struct pv_job *job);
/* Whether the job, which was submitted, is done; without threads it is run now. */
bool pv_workers_done(struct pv_workers *w, struct pv_job *job);
/* Returns at once when the job is done or was never submitted. */
void pv_workers_wait(struct pv_workers *w, struct pv_job *job);
/* Ends the threads; every job must have been waited for. Accepts NULL. */
void pv_workers_free(struct pv_workers *w);
