/* A zygote (the term of Android and of Wallet): a process of the function that has come to its
 * first read of stdin and stands still there for good, traced by the owner. An instance is a fork
 * of it, with user, pid and mount namespaces, a /tmp and standard streams of its own, that goes on
 * from that read; what came before (exec, dynamic linking, the program's own setting up) is paid
 * once. Network and cgroups are inherited: a zygote belongs to a slot. It runs nothing after the
 * read, so nothing passes through it from one instance to the next.
 *
 * Everything of one zygote must be called from one thread, its slot's breeder, which is the tracer. */
#pragma once
#include "process.h"

struct pv_zygote;

/* Starts the slot's zygote and waits until it stands still. Fails with ENOTSUP when a fork of the
 * program would not be as good as the program; err says why. facts (in: pid 0, listener -1) are of
 * whatever process was started, also of one that failed; their listener is the caller's. */
PV_MUST_CHECK int pv_zygote_make(struct pv_zygote **ret, struct pv_process_domain *d,
                                 struct pv_process_slot *slot, struct pv_zygote_facts *facts,
                                 struct pv_err *err);
/* Forks an instance with those descriptors as its standard streams; the copies are the child's. It
 * waits in its first read already. ret_pidfd is the caller's; ret_place: where its environment is.
 */
PV_MUST_CHECK int pv_zygote_fork(struct pv_zygote *z, const int stdio[3], pid_t *ret_pid,
                                 int *ret_pidfd, struct pv_environment_place *ret_place,
                                 struct pv_err *err);
/* Kills it. NULL is allowed. Any thread, once the tracer is gone. */
void pv_zygote_free(struct pv_zygote *z);
