/* Authentication of the control plane: one bearer token. */
#pragma once
#include <stdbool.h>

/* value: an Authorization field ("Bearer T", or Basic with user admin and password T). Compares in
 * constant time. NULL is refused. */
bool gw_auth_ok(const char *value, const char *token);
