#include "lifecycle.h"

#include "gateway.h"

#include <event2/event.h>

void gw_tick_in(struct gateway *gw, long ms)
{
    struct timeval tv = {ms / 1000, ms % 1000 * 1000};
    (void)event_add(gw->tick_event, &tv);
}

void gw_tick_soon(struct gateway *gw)
{
    gw_tick_in(gw, GW_TICK_SOON_MS);
}

void gw_drain(struct gateway *gw)
{
    gw->draining = true;
    (void)event_del(gw->accept_event);
    gw_tick_soon(gw);
}
