/* Giving up privileges for good: what every role does before it reads an untrusted byte. */
#pragma once
#include "pv/err.h"

#include <stdint.h>
#include <sys/types.h>

#define PV_CAP_MASK(cap) (1ull << (cap))

/* Becomes uid and gid (real, effective and saved) without supplementary groups, keeps exactly the
 * capabilities in the mask (bit n = capability n of linux/capability.h) in the permitted and
 * effective sets, empties the inheritable, ambient and bounding sets, and sets no-new-privileges.
 * The process stops being dumpable: nobody of its own uid may trace it or read its memory. With
 * that, /proc/self/{uid_map,…} belong to root; who must write them afterwards makes itself dumpable
 * for that moment.
 * All is read back and compared. On failure the process may be half-way: it must exit.
 * Call it while the process has a single thread. uid and gid must not be 0. */
PV_MUST_CHECK int pv_privilege_drop(uid_t uid, gid_t gid, uint64_t keep_caps_mask,
                                    struct pv_err *err);
