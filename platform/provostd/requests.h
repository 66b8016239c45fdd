/* What a role may ask of the supervisor: the whole attack surface of the one process that stays
 * root. */
#pragma once
#include "supervisor.h"

/* Handles one message. A message that is unknown, malformed or not this role's is a violation: a
 * negative errno, upon which the caller kills the role. Requests that are merely refused are
 * answered, and that is 0. */
PV_MUST_CHECK int pv_request_handle(struct pv_supervisor *s, struct pv_role *from, struct pv_msg *m,
                                    struct pv_err *err);
