/* /system/secrets. Contents pass through to the supervisor and are never kept here. */
#pragma once
#include "conn.h"

void gw_secrets_list(struct gw_conn *c);
void gw_secret_put(struct gw_conn *c);
void gw_secret_delete(struct gw_conn *c);
