/* The state directory: its layout, owners and modes (docs/ARCHITECTURE.md), the lock that keeps a
 * second supervisor out, the admin token, and the private bpffs mount. */
#pragma once
#include "config.h"

#include <stdbool.h>
#include <sys/types.h>

enum pv_role_user { PV_USER_GATEWAY = 1, PV_USER_AUDITOR = 2, PV_USER_STITCHER = 3 };
enum { PV_USER_HOSTS = 1000, PV_TOKEN_CHARS = 64 };

struct pv_state {
    char path[PV_PATH_MAX]; /* absolute, links resolved */
    int dir, lock, log, keys, rings, bpf, packages, registry, functions, secrets, graph;
    bool bpf_mounted;
    char token[PV_TOKEN_CHARS + 1];
};

/* A value that pv_state_close accepts. */
void pv_state_init(struct pv_state *s);
/* Creates what is missing, corrects owners and modes, takes the lock (-EBUSY when another
 * supervisor holds it), makes the token, and mounts bpffs when the configuration wants BPF. */
PV_MUST_CHECK int pv_state_open(struct pv_state *s, const struct pv_config *c, struct pv_err *err);
/* -ENOSPC when what provostd itself takes at its start is not free; draining: the rings of a killed
 * run make room as they are drained. */
PV_MUST_CHECK int pv_state_check_room(const struct pv_state *s, bool draining, struct pv_err *err);
/* Puts what the state directory lacks in the place of the error of a ring that found no room.
 * Returns rc, which is any result of making it. */
PV_MUST_CHECK int pv_state_explain_room(const struct pv_state *s, int rc, struct pv_err *err);
/* Unmounts bpffs (which forgets its pins) and releases the lock. */
void pv_state_close(struct pv_state *s);
