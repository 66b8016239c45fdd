/* The roles' executables, which some commands run. */
#pragma once
#include "pv/err.h"
#include "pv/limits.h"

/* Path of the executable of that name beside this one. */
PV_MUST_CHECK int cli_libexec(const char *name, char out[PV_PATH_MAX], struct pv_err *err);
