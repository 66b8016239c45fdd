/* A thread that runs jobs in order, for what would keep the owner's loop waiting: the kernel
 * suspends whoever starts an instance until it has executed, and whoever drops a mount namespace
 * for an RCU grace period. */
#pragma once
#include "pv/err.h"

#include <stdbool.h>
#include <stddef.h>

/* The structure that a pointer's target is a member of. */
#define PV_CONTAINER(member_pointer, type, member)                                                 \
    ((type *)(void *)((char *)(member_pointer)-offsetof(type, member)))

struct pv_job {
    struct pv_job *next;             /* the worker's while it is under way */
    void (*run)(struct pv_job *job); /* on the worker's thread */
    bool under_way;                  /* from post until take; the owner's */
    bool done;                       /* the worker's, under its lock */
    bool quiet; /* rings the bell only once a take has found it under way; under the lock */
};

struct pv_worker;
/* Starts the thread. bell: an eventfd, borrowed, written whenever a job is done that is not quiet.
 */
PV_MUST_CHECK int pv_worker_start(struct pv_worker **ret, int bell, struct pv_err *err);
/* The job stays the caller's and must stay in place until pv_worker_take says true. */
void pv_worker_post(struct pv_worker *w, struct pv_job *job);
/* And another after it, quietly: the bell tells of it only if pv_worker_take has found it under
 * way. */
void pv_worker_post_both(struct pv_worker *w, struct pv_job *job, struct pv_job *then);
/* Whether the job is done; once true, it is the caller's again. */
bool pv_worker_take(struct pv_worker *w, struct pv_job *job);
/* Waits until it is. */
void pv_worker_wait(struct pv_worker *w, struct pv_job *job);
/* Runs what is queued, ends the thread. NULL is allowed. */
void pv_worker_stop(struct pv_worker *w);
