/* c2sp.org/tlog-witness over HTTP: add-checkpoint, and the last checkpoint cosigned. */
#pragma once
#include "pv/witness.h"

#include <event2/event.h>

struct cli_witness_server;
/* Listens on a numeric address and port ("127.0.0.1:8090", "8090" for loopback) within base's loop;
 * w and base are borrowed. -EINVAL, or why it cannot listen. */
PV_MUST_CHECK int cli_witness_serve(struct cli_witness_server **ret, struct event_base *base,
                                    const char *where, struct pv_witness *w, struct pv_err *err);
/* Accepts NULL. */
void cli_witness_server_free(struct cli_witness_server *s);
