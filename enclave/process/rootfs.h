/* The read-only root that all instances of a domain share. */
#pragma once
#include "pv/domain.h"

/* In a new mount namespace, builds the root from the host's runtime directories or spec.root_dir,
 * mounts package and secrets, and pivots into it. Needs root; the old root is gone afterwards. */
PV_MUST_CHECK int pv_rootfs_enter(const struct pv_domain_config *config, struct pv_err *err);
