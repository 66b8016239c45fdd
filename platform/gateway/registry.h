/* The deployments on disk: NAME.json in the registry directory, replaced in one step. */
#pragma once
#include "function.h"

/* Writes down f->last_version before a version with that number is started. */
PV_MUST_CHECK int gw_registry_reserve(struct gateway *gw, struct gw_function *f,
                                      struct pv_err *err);
PV_MUST_CHECK int gw_registry_save(struct gw_version *v, struct pv_err *err);
/* Leaves the version counter, so that no version number ever stands for two deployments. */
PV_MUST_CHECK int gw_registry_remove(struct gateway *gw, struct gw_function *f, struct pv_err *err);
/* Loads every deployment and asks for its host. A file that cannot be read is named in the debug
 * log and left alone. */
PV_MUST_CHECK int gw_registry_load(struct gateway *gw, struct pv_err *err);
