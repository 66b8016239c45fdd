/* Deployment: import the package, start a host, and only when an instance is ready, put the new
 * version in force. The version before serves until then. */
#pragma once
#include "conn.h"

#define GW_FALLBACK "provost.fallback"

struct gw_function;
struct gw_version;

/* A version of the class auto whose program turned out to need processes: deploys it anew as that,
 * for the reason given, which becomes its annotation GW_FALLBACK and the deployment's agent. Once
 * for a version; nothing happens when another one is current, or about to be. */
void gw_deploy_as_process(struct gw_version *v, const char *reason);

/* Hears how a deployment of function f ended; error NULL: f->current is its version, if any. */
typedef void gw_deployed_fn(void *ctx, const struct gw_function *f, const char *error);
/* Deploys f's present version anew as it is, for the reason given, once no other deployment of it is
 * under way; not if its host was asked for after since_ns (monotonic), or it is gone, by then. ended
 * is called once, maybe within this call. */
void gw_deploy_anew(struct gateway *gw, struct gw_function *f, uint64_t since_ns,
                    const char *reason, gw_deployed_fn *ended, void *ctx);
/* Whether the version that f is being deployed to has that secret mounted. */
bool gw_deploy_uses_secret(const struct gateway *gw, const struct gw_function *f,
                           const char *secret);
/* Whether a package is on its way into the store that is not yet known by its measurement. */
bool gw_deploy_importing(const struct gateway *gw);
void gw_deploy_post(struct gw_conn *c);
void gw_deploy_put(struct gw_conn *c);
void gw_function_delete(struct gw_conn *c);
void gw_function_scale(struct gw_conn *c);
