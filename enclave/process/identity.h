/* Who the owner of a domain is: an unprivileged user, root of nothing but its own namespaces. */
#pragma once
#include "pv/err.h"

#include <stdint.h>

enum { PV_INNER_UID = 1000 }; /* the function's user and group, as it sees itself */

/* Becomes uid and gid without any privilege outside, then enters a user namespace in which
 * PV_INNER_UID is uid, and ipc, uts and mount namespaces owned by it. */
PV_MUST_CHECK int pv_identity_enter(uint32_t uid, uint32_t gid, struct pv_err *err);
/* Gives up what only setting up needed: keeps these capabilities (CAP_* bits) within the user
 * namespace, and empties the bounding set, so that no instance can have any. */
PV_MUST_CHECK int pv_identity_settle(uint32_t kept, struct pv_err *err);
