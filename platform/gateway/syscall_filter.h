/* The gateway's list of system calls. */
#pragma once
#include "pv/err.h"

/* Allows what serving needs and fails everything else with EPERM, for good. */
PV_MUST_CHECK int gw_seccomp_load(struct pv_err *err);
