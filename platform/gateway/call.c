#include "call.h"

#include "conn_state.h"

struct gw_call *gw_call_find(struct gateway *gw, const struct pv_call_id *id)
{
    struct gw_call *call;
    HASH_FIND(hh, gw->calls, id, sizeof *id, call);
    return call;
}

void gw_call_enqueue(struct gw_call *call)
{
    struct gateway *gw = call->gw;
    HASH_ADD(hh, gw->calls, id, sizeof call->id, call);
    TAILQ_INSERT_TAIL(&call->version->queue, call, queue_link);
    call->version->queued++;
}

void gw_call_unqueue(struct gw_call *call)
{
    TAILQ_REMOVE(&call->version->queue, call, queue_link);
    call->version->queued--;
}

void gw_call_free(struct gw_call *call)
{
    HASH_DEL(call->gw->calls, call);
    free(call);
}

void gw_call_own_conn(struct gw_call *call, struct gw_conn *c)
{
    LIST_INSERT_HEAD(&call->conns, c, owner_link);
    call->n_brokered++;
}

void gw_call_disown_conn(struct gw_call *call, struct gw_conn *c)
{
    LIST_REMOVE(c, owner_link);
    call->n_brokered--;
}
