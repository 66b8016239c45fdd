/* The socket on which the gateway is reached; the supervisor holds it, so that clients connect on
 * while the gateway is started anew. */
#pragma once
#include "pv/err.h"

#include <stddef.h>

/* Whether address is one that can be bound, before anything is. */
PV_MUST_CHECK int pv_listener_check(const char *address, struct pv_err *err);
/* Binds "ADDR:PORT" ("[ADDR6]:PORT"; numeric; port 0: any free one), listens, and prints the
 * address really bound into text. Returns the descriptor (non-blocking, close-on-exec). An address
 * in use is waited for, 3 s at most. */
PV_MUST_CHECK int pv_listener_open(const char *address, char *text, size_t cap, struct pv_err *err);
