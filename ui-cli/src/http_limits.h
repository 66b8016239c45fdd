/* How many connections a small HTTP server keeps at once, and how long each may live: evhttp itself
 * bounds only silence, so a client that sends a byte now and then could hold one for ever. */
#pragma once
#include "pv/err.h"

#include <event2/event.h>
#include <event2/http.h>

struct cli_http_limits;
/* At most 64 connections, the oldest gives way to a new one; none lives longer than life_s seconds.
 * base and http are borrowed. Free it after http. */
PV_MUST_CHECK int cli_http_limits_new(struct cli_http_limits **ret, struct event_base *base,
                                      struct evhttp *http, unsigned life_s, struct pv_err *err);
/* Accepts NULL. */
void cli_http_limits_free(struct cli_http_limits *l);
