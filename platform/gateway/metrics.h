/* The counters as Prometheus text with OpenFaaS's names. */
#pragma once
#include "conn.h"

/* GET /metrics. */
void gw_metrics_get(struct gw_conn *c);
