#include "record.h"

#include "gateway.h"

#include "pv/log.h"
#include "pv/ring.h"

#include <event2/event.h>
#include <string.h>

bool gw_record_room(const struct gateway *gw)
{
    return !gw->audit || pv_producer_space(gw->producer) >= PV_RING_RESERVE;
}

void gw_record(struct gateway *gw, struct pv_event *e)
{
    if (!gw->audit || gw->failed)
        return;
    struct pv_err err = PV_ERR_INIT;
    if (pv_producer_emit(gw->producer, e, &err) == 0)
        return;
    pv_log(PV_LOG_ERROR, "an event could not be recorded, stopping: %s", err.text);
    gw->failed = true;
    (void)event_base_loopbreak(gw->base);
}

void gw_record_denied(struct gateway *gw, const struct pv_call_id *invocation, const char *what,
                      const char *object, const char *reason)
{
    /* A flood of denials must not exhaust the room of requests that were admitted. */
    if (!gw_record_room(gw)) {
        gw->denials_unrecorded++;
        return;
    }
    char cut[GW_TARGET_SHOWN + 1];
    snprintf(cut, sizeof cut, "%s", object);
    struct pv_event e;
    pv_event_init(&e, PV_K_DENIED, invocation);
    pv_event_text(&e, what);
    pv_event_text(&e, cut);
    pv_event_text(&e, reason);
    gw_record(gw, &e);
}

struct gw_digest gw_digest_of(const void *p, size_t len)
{
    struct gw_digest d = {.len = len};
    pv_sha256(len ? p : "", len, d.hash);
    return d;
}

void gw_record_call(struct gateway *gw, const struct gw_call_facts *f)
{
    struct pv_event e;
    bool none = pv_call_id_is_none(&f->callee);
    pv_event_init(&e, PV_K_CALL, &f->caller);
    pv_event_u64(&e, f->connection);
    pv_event_text(&e, f->callee_function);
    pv_event_bytes(&e, f->callee.bytes, none ? 0 : sizeof f->callee.bytes);
    pv_event_u64(&e, f->allowed);
    pv_event_text(&e, f->reason);
    pv_event_bytes(&e, f->body.hash, sizeof f->body.hash);
    pv_event_u64(&e, f->body.len);
    gw_record(gw, &e);
}
