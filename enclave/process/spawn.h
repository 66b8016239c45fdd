/* A new process that runs a sandbox plan. */
#pragma once
#include "sandbox.h"

/* Returns its pid once it has executed, failed, or waits at its gate; negative: errno says why.
 * ret_pidfd is the caller's. */
long pv_spawn(const struct pv_sandbox_plan *plan, int *ret_pidfd);
