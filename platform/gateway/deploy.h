/* Deployment: import the package, start a host, and only when an instance is ready, put the new
 * version in force. The version before serves until then. */
#pragma once
#include "conn.h"

void gw_deploy_post(struct gw_conn *c);
void gw_deploy_put(struct gw_conn *c);
void gw_function_delete(struct gw_conn *c);
void gw_function_scale(struct gw_conn *c);
