/* What the API says about functions. */
#pragma once
#include "conn.h"
#include "function.h"

/* A new reference, or NULL without memory. */
json_t *gw_version_json(const struct gw_version *v);
void gw_functions_list(struct gw_conn *c);
void gw_function_describe(struct gw_conn *c);
