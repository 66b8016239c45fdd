#include "invoke.h"

#include "call_end.h"
#include "env.h"
#include "host_link.h"
#include "record.h"

#include "pv/clock.h"

#include <string.h>

/* The target of an invocation, cut into its parts; borrowed from the request's head. */
struct target {
    char name[PV_NAME_MAX + 1];
    const char *path;
    size_t path_len;
    const char *query;
};

static bool parse_target(const char *rest, struct target *ret)
{
    static const char suffix[] = "." GW_NAMESPACE;
    size_t len = strcspn(rest, "/?");
    size_t name_len = len;
    if (len > sizeof suffix - 1 &&
        memcmp(rest + len - (sizeof suffix - 1), suffix, sizeof suffix - 1) == 0)
        name_len -= sizeof suffix - 1;
    if (name_len == 0 || name_len > PV_NAME_MAX)
        return false;
    memcpy(ret->name, rest, name_len);
    ret->name[name_len] = 0;
    ret->path = rest + len;
    ret->path_len = strcspn(ret->path, "?");
    const char *query = ret->path + ret->path_len;
    ret->query = *query ? query + 1 : query;
    return pv_name_ok(ret->name);
}

static void record_call(struct gw_conn *c, const char *function, const struct gw_call *callee,
                        const char *reason)
{
    struct gw_call_facts f = {.caller = c->owner->id,
                              .connection = c->connection,
                              .callee_function = function,
                              .allowed = callee != NULL,
                              .reason = reason,
                              .body = gw_digest_of(c->body.data, c->body.len)};
    if (callee)
        f.callee = callee->id;
    gw_record_call(c->gw, &f);
}

/* Refuses an invocation; a call from a function leaves its event. */
static void refuse(struct gw_conn *c, const struct target *t, unsigned status, const char *reason)
{
    if (c->owner) {
        record_call(c, t->name, NULL, reason);
        c->gw->metrics.calls_denied++;
    }
    gw_conn_text(c, status, "%s: %s", t->name, reason);
}

static bool granted(struct gw_conn *c, const struct target *t)
{
    if (!c->owner || pv_str_list_has(&c->owner->version->spec.calls, t->name))
        return true;
    refuse(c, t, 403, "the deployment of the calling function does not allow this call");
    return false;
}

static struct gw_version *serving_version(struct gw_conn *c, const struct target *t)
{
    struct gw_function *f = gw_function_find(c->gw, t->name);
    struct gw_version *v = f ? f->current : NULL;
    if (!v) {
        const char *why;
        unsigned status = gw_function_absent(f, &why);
        refuse(c, t, status, why);
        return NULL;
    }
    if (v->state == GW_V_FAILED) {
        refuse(c, t, 503, v->reason);
        return NULL;
    }
    if (v->queued >= PV_QUEUE_MAX) {
        c->gw->metrics.queue_full++;
        refuse(c, t, 429, "too many requests are waiting for this function");
        return NULL;
    }
    return v;
}

static void record_request(const struct gw_call *call, const struct gw_conn *c)
{
    char target[GW_TARGET_SHOWN + 1];
    struct gw_digest body = gw_digest_of(c->body.data, c->body.len);
    struct pv_event e;
    snprintf(target, sizeof target, "%s", c->head->target);
    pv_event_init(&e, PV_K_REQUEST, &call->id);
    pv_event_text(&e, call->version->spec.name);
    pv_event_u64(&e, call->version->spec.version);
    pv_event_text(&e, c->head->method);
    pv_event_text(&e, target);
    pv_event_bytes(&e, body.hash, sizeof body.hash);
    pv_event_u64(&e, body.len);
    pv_event_bytes(&e, call->caller.bytes, call->traced ? sizeof call->caller.bytes : 0);
    pv_event_text(&e, c->remote);
    gw_record(c->gw, &e);
}

static struct gw_call *new_call(struct gw_conn *c, struct gw_version *v)
{
    struct gw_call *call = calloc(1, sizeof *call);
    if (!call)
        return NULL;
    call->gw = c->gw;
    call->id = pv_call_id_new();
    call->version = v;
    call->conn = c;
    call->arrived_ns = c->arrived_ns;
    call->arrived_real_ns = pv_now_real_ns();
    call->deadline_ns = c->arrived_ns + v->spec.timeout_ms * PV_NS_PER_MS;
    if (c->owner) {
        call->traced = true;
        call->caller = c->owner->id;
        call->connection = c->connection;
        if (call->deadline_ns > c->owner->deadline_ns)
            call->deadline_ns = c->owner->deadline_ns;
    }
    LIST_INIT(&call->conns);
    LIST_INIT(&call->proxies);
    return call;
}

static int build_env(struct gw_conn *c, const struct gw_call *call, const struct target *t,
                     struct pv_err *err)
{
    char id[PV_CALL_ID_CHARS + 1];
    pv_call_id_print(&call->id, id);
    struct gw_env_request q = {.head = c->head,
                               .function = t->name,
                               .path = t->path,
                               .path_len = t->path_len,
                               .query = t->query,
                               .remote = c->remote,
                               .call_id = id,
                               .start_ns = call->arrived_real_ns,
                               .body_len = c->body.len,
                               .token = c->gw->token};
    return gw_env_build(&c->env, &q, err);
}

static void admit(struct gw_call *call, struct gw_conn *c)
{
    struct gw_version *v = call->version;
    if (c->owner)
        record_call(c, v->spec.name, call, "");
    record_request(call, c);
    gw_call_enqueue(call);
    v->function->stats.started++;
    c->call = call;
    gw_link_dispatch(v);
}

void gw_invoke(struct gw_conn *c)
{
    struct target t;
    struct pv_err err = PV_ERR_INIT;
    if (!gw_record_room(c->gw)) {
        gw_conn_hold(c);
        return;
    }
    if (!parse_target(c->rest, &t)) {
        gw_conn_text(c, 404, "no such function");
        return;
    }
    if (!granted(c, &t))
        return;
    struct gw_version *v = serving_version(c, &t);
    if (!v)
        return;
    struct gw_call *call = new_call(c, v);
    if (!call) {
        refuse(c, &t, 503, "not enough memory");
        return;
    }
    int rc = build_env(c, call, &t, &err);
    if (rc < 0) {
        refuse(c, &t, rc == -EMSGSIZE ? 431 : 400, err.text);
        free(call);
        return;
    }
    admit(call, c);
}

void gw_call_client_gone(struct gw_call *call)
{
    struct gw_version *v = call->version;
    call->conn = NULL;
    if (call->state == GW_C_RUNNING) {
        gw_link_cancel(call);
    } else if (call->state == GW_C_QUEUED) {
        gw_call_unqueue(call);
        gw_call_end_text(call, 499, "cancelled", "");
        gw_version_idle_check(v);
    }
}

/* Answers one overdue call; false when there is none. */
static bool end_overdue(struct gateway *gw, uint64_t now_ns)
{
    for (struct gw_call *call = gw->calls; call; call = call->hh.next) {
        if (call->state == GW_C_QUEUED && now_ns > call->deadline_ns) {
            struct gw_version *v = call->version;
            gw_call_unqueue(call);
            gw_call_end_text(call, 504, "timeout", "no instance was free before the deadline");
            gw_version_idle_check(v);
            return true;
        }
        if (call->state == GW_C_RUNNING &&
            now_ns > call->deadline_ns + PV_RESULT_GRACE_MS * PV_NS_PER_MS) {
            gw_link_cancel(call);
            gw_call_answer_early(call, 504, "timeout", "the enclave host did not stop it in time");
            return true;
        }
    }
    return false;
}

void gw_calls_tick(struct gateway *gw, uint64_t now_ns)
{
    while (end_overdue(gw, now_ns))
        ;
}
