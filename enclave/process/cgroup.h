/* A slot's cgroups: joined by each instance, read for its limits. The supervisor made them and
 * wrote the limits. */
#pragma once
#include "pv/domain.h"

struct pv_slot_cgroup {
    int procs[3]; /* cgroup.procs of memory, pids, cpu; under v2 the first only; -1: none */
    int oom_fd;   /* memory.oom_control or memory.events */
    int pids_fd;  /* pids.events */
    int allow_fd; /* pids.max */
    int peak_fd;  /* memory.max_usage_in_bytes or memory.peak */
    uint64_t oom_seen, pids_seen; /* counters at the end of the last instance */
};

#define PV_SLOT_CGROUP_NONE ((struct pv_slot_cgroup){{-1, -1, -1}, -1, -1, -1, -1, 0, 0})

/* Opens a slot's files while still root. */
PV_MUST_CHECK int pv_slot_cgroup_open(struct pv_slot_cgroup *ret,
                                      const struct pv_domain_config *config, unsigned slot,
                                      struct pv_err *err);
void pv_slot_cgroup_close(struct pv_slot_cgroup *c);
/* Sets how many processes it may hold. */
PV_MUST_CHECK int pv_slot_cgroup_allow(const struct pv_slot_cgroup *c, uint32_t processes,
                                       struct pv_err *err);
/* Marks the start of an instance's life. */
void pv_slot_cgroup_start(struct pv_slot_cgroup *c);
/* What happened since. */
void pv_slot_cgroup_read(struct pv_slot_cgroup *c, struct pv_instance_end *ret);
