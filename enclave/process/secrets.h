/* Secrets granted to a function, as files. */
#pragma once
#include "pv/domain.h"

/* Mounts a tmpfs at path holding each secret of the spec, readable by the function only, and tells
 * config->secret_mounted. Needs root. */
PV_MUST_CHECK int pv_secrets_mount(const struct pv_domain_config *config, const char *path,
                                   struct pv_err *err);
