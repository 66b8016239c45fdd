/* The state directory: its layout, owners and modes (docs/ARCHITECTURE.md), the lock that keeps a
 * second supervisor out, the admin token, and the private bpffs mount. */
#pragma once
#include "config.h"

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
/* Unmounts bpffs (which forgets its pins) and releases the lock. */
void pv_state_close(struct pv_state *s);
