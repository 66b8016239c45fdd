/* Control groups of the instances: memory, processes and CPU, under v1, hybrid or v2.
 *
 * BASE/FUNCTION-VERSION.RUN/slotN, where BASE is provost-HASH (of the state directory): beneath the
 * daemon's own group in a v1 hierarchy, at the top of the v2 one (where groups with processes may
 * have children). A slot's cgroup.procs belongs to the host's user. */
#pragma once
#include "pv/limits.h"
#include "pv/role.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

enum pv_controller { PV_CG_MEMORY, PV_CG_PIDS, PV_CG_CPU, PV_CG_COUNT };

struct pv_cgroups {
    enum pv_cgroup_mode mode;
    char base[PV_CG_COUNT][PV_PATH_MAX]; /* with v2 three times the same */
};
struct pv_cgroup_limits {
    uint64_t memory_bytes;
    uint32_t processes;
    uint32_t cpu_millis; /* 0: no limit */
    uint32_t n_slots;
};

/* Finds the controllers. proc_dir is "/proc" (another one in tests). -ENOTSUP, naming what is
 * missing, when one of the three cannot be had. Creates nothing. */
PV_MUST_CHECK int pv_cgroup_detect(struct pv_cgroups *c, const char *proc_dir,
                                   const char *state_path, struct pv_err *err);
/* Creates the base groups, after removing what a killed run left there. */
PV_MUST_CHECK int pv_cgroup_prepare(const struct pv_cgroups *c, struct pv_err *err);
/* Creates the group of one host and its slots. group is a file name; nothing is left on failure. */
PV_MUST_CHECK int pv_cgroup_create(const struct pv_cgroups *c, const char *group,
                                   const struct pv_cgroup_limits *l, uid_t uid, struct pv_err *err);
/* With v2, moves the host into the group's "host" leaf: moving its children takes a common ancestor
 * that the host's user may write to. Nothing to do with v1. */
PV_MUST_CHECK int pv_cgroup_adopt(const struct pv_cgroups *c, const char *group, pid_t pid,
                                  struct pv_err *err);
/* Path of a host's group for one controller; "" without cgroups. */
void pv_cgroup_group_path(const struct pv_cgroups *c, const char *group, enum pv_controller which,
                          char out[PV_PATH_MAX]);
/* The same of one of its slots (PV_SLOT_GROUP). */
void pv_cgroup_slot_path(const struct pv_cgroups *c, const char *group, enum pv_controller which,
                         uint32_t slot, char out[PV_PATH_MAX]);
/* Kills what is left in the group and removes it; false when processes have not died yet (call it
 * again). */
bool pv_cgroup_remove(const struct pv_cgroups *c, const char *group);
/* As pv_cgroup_remove for everything, waiting up to a second. */
PV_MUST_CHECK int pv_cgroup_finish(const struct pv_cgroups *c, struct pv_err *err);
