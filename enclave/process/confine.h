/* The sandbox of a host, for domains of every class: the function's root, an unprivileged user, and
 * namespaces of its own. In two steps, between which the network of slots can be made. */
#pragma once
#include "pv/domain.h"

/* Enters the root and the user. What lies outside has to be open by now. */
PV_MUST_CHECK int pv_confine_begin(const struct pv_domain_config *c, struct pv_err *err);
/* A network of its own, limits, the system call list; of the capabilities (CAP_* bits) within the
 * user namespace only these are left, and no process it starts can have any. */
PV_MUST_CHECK int pv_confine_end(uint32_t capabilities, struct pv_err *err);
