/* Readiness for systemd (sd_notify(3)). */
#pragma once

/* Sends state ("READY=1", …) to the socket that NOTIFY_SOCKET names; does nothing without one. */
void pv_notify(const char *state);
