/* A version's life: started, ready or failed, replaced, retired. */
#pragma once
#include "function.h"
#include "supervisor.h"

/* Asks the supervisor for a host, now or as soon as it can be asked. What comes of it goes to
 * v->settled, when set. */
PV_MUST_CHECK int gw_version_start(struct gw_version *v, struct pv_err *err);
/* No new requests; stops the host once the last is answered, then frees v. */
void gw_version_retire(struct gw_version *v);
/* Makes v the function's current version and retires the one before. */
void gw_version_install(struct gw_version *v);
void gw_versions_tick(struct gateway *gw, uint64_t now_ns);

/* --- from the supervisor: see struct gw_supervisor_upward --- */
void gw_version_restarted(struct gateway *gw, struct gw_answer *a);
void gw_version_exited(struct gateway *gw, struct pv_msg *m);
