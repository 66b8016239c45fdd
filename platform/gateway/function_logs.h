/* GET /system/logs: what functions wrote on stderr. */
#pragma once
#include "conn.h"

void gw_logs_get(struct gw_conn *c);
