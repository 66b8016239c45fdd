/* When the loop wakes by itself, and when it ends. */
#pragma once
struct gateway;

enum { GW_TICK_SOON_MS = 1 };

void gw_tick_in(struct gateway *gw, long ms);
/* Makes the tick come soon: something waits for time or for the auditor. */
void gw_tick_soon(struct gateway *gw);
/* Stops accepting; the loop ends when everything accepted is answered. */
void gw_drain(struct gateway *gw);
