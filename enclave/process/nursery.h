/* The pid namespace that one zygote lives in, alone but for the first process there, which sleeps.
 * It is a child of the owner, but not that first process: the kernel lets only others have children
 * for their parent (CLONE_PARENT), which is how an instance becomes a child of the owner too. */
#pragma once
#include "pv/err.h"

#include <stdbool.h>
#include <sys/types.h>

struct pv_nursery {
    pid_t init; /* sleeps until it is killed; 0: there is none */
    int pid_ns, socket;
};

#define PV_NURSERY_NONE ((struct pv_nursery){0, -1, -1})

/* The calling thread must never have entered one: the kernel makes no namespace for it then. */
PV_MUST_CHECK int pv_nursery_open(struct pv_nursery *n, struct pv_err *err);
/* From then on the calling thread's children are born there, until it enters another: there is no
 * way back. */
PV_MUST_CHECK int pv_nursery_enter(const struct pv_nursery *n, struct pv_err *err);
/* Whether a process that lived there has left children behind, dead or alive. With one that has
 * none itself and cannot have any for its parent, none means that it is alone. */
PV_MUST_CHECK int pv_nursery_has_orphans(const struct pv_nursery *n, bool *ret, struct pv_err *err);
/* Kills whatever lives there; what is a child of the owner must be dead and waited for. */
void pv_nursery_close(struct pv_nursery *n);
