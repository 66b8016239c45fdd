/* How an invocation begins, and what ends it from this side: its client, or its deadline. */
#pragma once
#include "call.h"
#include "conn.h"

/* Handler of /function/NAME[/…]. */
void gw_invoke(struct gw_conn *c);
/* See struct gw_conn_upward. */
void gw_call_client_gone(struct gw_call *call);
void gw_calls_tick(struct gateway *gw, uint64_t now_ns);
