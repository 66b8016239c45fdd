/* The supervisor's life: open, run until a signal stops it, close. */
#pragma once
#include "supervisor.h"

/* Prepares everything short of starting roles. On failure pv_supervisor_close still is due. */
PV_MUST_CHECK int pv_supervisor_open(struct pv_supervisor *s, const struct pv_config *c,
                                     struct pv_err *err);
/* Starts the roles, serves until SIGTERM or SIGINT, drains. 0, or an error that kept it from
 * becoming ready. */
PV_MUST_CHECK int pv_supervisor_run(struct pv_supervisor *s, struct pv_err *err);
/* Removes cgroups and mounts, closes. */
void pv_supervisor_close(struct pv_supervisor *s);
