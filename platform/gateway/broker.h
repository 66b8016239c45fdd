/* Connections that invocations open to the broker, handed over by their hosts. */
#pragma once
#include "function.h"

#include "pv/msg.h"

/* PV_HOST_CONNECTION. */
void gw_broker_connection(struct gw_version *v, struct pv_msg *m, struct pv_reader *r);
