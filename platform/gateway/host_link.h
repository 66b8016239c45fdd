/* The data socket between the gateway and one version's enclave host. */
#pragma once
#include "call.h"

/* Takes fd. */
void gw_link_open(struct gw_version *v, int fd);
/* The host is gone: its calls end with 502. */
void gw_link_lost(struct gw_version *v, const char *why);
/* Its process has ended: what it said last is heard, then it is lost. */
void gw_link_ended(struct gw_version *v);
/* Hands queued calls to the host as far as its concurrency allows. */
void gw_link_dispatch(struct gw_version *v);
/* Tells the host to stop a call that runs. */
void gw_link_cancel(struct gw_call *call);
/* Tells the host how many instances to keep prepared. */
void gw_link_scale(struct gw_version *v, uint32_t replicas);
