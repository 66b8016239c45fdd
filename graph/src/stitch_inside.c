/* The inside account: what gateway, hosts, supervisor and auditor say. The gateway's events of one
 * call come in its own order, so an invocation's dependencies on calls and connections are taken
 * from them; the host's events add what ran where. */
#include "stitch_core.h"

#include <stdio.h>
#include <string.h>

enum { UNREGISTERED = 0 };

static uint64_t number(const struct pv_stitch *s, const char *name)
{
    return pv_event_get_u64(s->e, name);
}

int pv_stitch_inv(struct pv_stitch *s, const struct pv_call_id *call, struct pv_s_inv **ret,
                  struct pv_err *err)
{
    bool is_new = false;
    PV_TRY(pv_invs_get(s->invs, call, ret, &is_new, err));
    if (!is_new)
        return 0;
    struct pv_s_inv *inv = *ret;
    PV_TRY(pv_stitch_intern(s, "", &inv->function, err));
    inv->outcome = inv->function;
    const struct pv_new_object o = {.type = PV_N_UNIT, .inv = inv->id, .name = inv->function};
    return pv_stitch_object(s, &o, &inv->unit, err);
}

/* A payload has one version only. */
static int payload(struct pv_stitch *s, const struct pv_s_inv *inv, enum pv_node_type type,
                   uint64_t *ret, struct pv_err *err)
{
    struct pv_s_versions v;
    const struct pv_new_object o = {.type = type, .inv = inv->id, .name = inv->function};
    PV_TRY(pv_stitch_object(s, &o, &v, err));
    *ret = v.obj;
    return 0;
}

int pv_stitch_request_entity(struct pv_stitch *s, struct pv_s_inv *inv, struct pv_err *err)
{
    if (inv->request)
        return 0;
    PV_TRY(payload(s, inv, PV_N_REQUEST, &inv->request, err));
    /* What ran, ran because of its request: this holds without the outside witness, too. */
    PV_TRY(pv_stitch_open_version(s, &inv->unit, err));
    return pv_stitch_edge(s, inv->unit.node, inv->request, PV_R_USED, s->seq, err);
}

int pv_stitch_response_entity(struct pv_stitch *s, struct pv_s_inv *inv, struct pv_err *err)
{
    return inv->response ? 0 : payload(s, inv, PV_N_RESPONSE, &inv->response, err);
}

static int measure(struct pv_stitch *s, uint64_t obj, const char *hash, const char *len,
                   struct pv_err *err)
{
    return pv_stitch_measure(s, obj, number(s, len), pv_event_field(s->e, hash), err);
}

/* The agent "NAME@VERSION" that the event speaks of. */
static int function_agent(struct pv_stitch *s, union pv_s_value **ret, struct pv_err *err)
{
    char function[PV_NAME_MAX + 1], text[PV_NAME_MAX + 32];
    uint64_t name = 0;
    pv_event_get_text(s->e, "function", function, sizeof function);
    (void)snprintf(text, sizeof text, "%s@%llu", function,
                   (unsigned long long)number(s, "version"));
    PV_TRY(pv_stitch_intern(s, text, &name, err));
    return pv_stitch_named(s, PV_N_FUNCTION, name, 0, 0, ret, err);
}

static int set_function(struct pv_stitch *s, struct pv_s_inv *inv, struct pv_err *err)
{
    union pv_s_value *fn = NULL;
    bool known = inv->version != UNREGISTERED;
    PV_TRY(pv_stitch_intern_field(s, "function", &inv->function, err));
    inv->version = number(s, "version");
    if (known || inv->version == UNREGISTERED)
        return 0;
    PV_TRY(function_agent(s, &fn, err));
    return pv_stitch_edge(s, inv->unit.node, fn->versions.node, PV_R_ASSOCIATED, s->seq, err);
}

static int on_request(struct pv_stitch *s, struct pv_s_inv *v, struct pv_err *err)
{
    union pv_s_value *client = NULL;
    struct pv_s_inv *caller = NULL;
    const struct pv_value *by = pv_event_field(s->e, "caller");
    struct pv_call_id caller_id = {{0}};
    uint64_t remote = 0;

    v->begin_ns = s->e->time_ns;
    PV_TRY(set_function(s, v, err));
    PV_TRY(pv_stitch_request_entity(s, v, err));
    PV_TRY(measure(s, v->request, "body_hash", "body_len", err));
    if (by->len == PV_CALL_ID_BYTES)
        memcpy(caller_id.bytes, by->bytes, PV_CALL_ID_BYTES);
    if (!pv_call_id_is_none(&caller_id)) {
        PV_TRY(pv_stitch_inv(s, &caller_id, &caller, err));
        v->caller = caller->id;
        return 0;
    }
    PV_TRY(pv_stitch_intern_field(s, "remote", &remote, err));
    PV_TRY(pv_stitch_named(s, PV_N_CLIENT, remote, 0, 0, &client, err));
    return pv_stitch_edge(s, v->request, client->versions.node, PV_R_ATTRIBUTED, s->seq, err);
}

/* The response depends on the unit as far as it is known; each side's event may add to it. */
static int respond(struct pv_stitch *s, struct pv_s_inv *v, struct pv_err *err)
{
    PV_TRY(pv_stitch_response_entity(s, v, err));
    v->unit.frozen = 1;
    return pv_stitch_edge(s, v->response, v->unit.node, PV_R_GENERATED, s->seq, err);
}

static int on_response(struct pv_stitch *s, struct pv_s_inv *v, struct pv_err *err)
{
    v->status = number(s, "status");
    v->end_ns = s->e->time_ns;
    PV_TRY(pv_stitch_intern_field(s, "outcome", &v->outcome, err));
    PV_TRY(respond(s, v, err));
    return measure(s, v->response, "body_hash", "body_len", err);
}

/* A host's domain is named host:FUNCTION@VERSION. */
static int on_domain_open(struct pv_stitch *s, struct pv_err *err)
{
    char name[PV_NAME_MAX + 40], text[PV_NAME_MAX + 60];
    union pv_s_value *start = NULL;
    pv_event_get_text(s->e, "name", name, sizeof name);
    if (strncmp(name, "host:", 5) != 0)
        return 0;
    (void)snprintf(text, sizeof text, "start of %s", name + 5);
    PV_TRY(pv_state_get(s->state, PV_S_START, s->domain, 0, 0, &start, NULL, err));
    PV_TRY(pv_stitch_intern(s, text, &start->start.name, err));
    return 0;
}

/* A micro-VM's run goes on from what its program did at its start. */
static int link_start(struct pv_stitch *s, const struct pv_s_inv *v, struct pv_err *err)
{
    union pv_s_value *start = NULL;
    PV_TRY(pv_state_find(s->state, PV_S_START, s->domain, 0, 0, &start, err));
    if (!start || !start->start.v.obj)
        return 0;
    start->start.v.frozen = 1;
    pv_state_touch(s->state, start);
    return pv_stitch_edge(s, v->unit.obj, start->start.v.node, PV_R_INFORMED, s->seq, err);
}

static int on_begin(struct pv_stitch *s, struct pv_s_inv *v, struct pv_err *err)
{
    union pv_s_value *alias = NULL, *grp = NULL;
    PV_TRY(set_function(s, v, err));
    PV_TRY(pv_stitch_request_entity(s, v, err));
    if (!v->begin_ns)
        v->begin_ns = s->e->time_ns;
    PV_TRY(
        pv_state_find(s->state, PV_S_ALIAS_INST, s->domain, number(s, "instance"), 0, &alias, err));
    if (!alias)
        return link_start(s, v, err);
    PV_TRY(pv_stitch_group_by_id(s, alias->alias.id, &grp, err));
    v->grp = grp->group.id;
    grp->group.inv = v->id;
    pv_state_touch(s->state, grp);
    return pv_stitch_link_stdio(s, grp, err);
}

static int on_end(struct pv_stitch *s, struct pv_s_inv *v, struct pv_err *err)
{
    PV_TRY(respond(s, v, err));
    if (!v->end_ns) {
        v->end_ns = s->e->time_ns;
        PV_TRY(pv_stitch_intern_field(s, "outcome", &v->outcome, err));
        PV_TRY(measure(s, v->response, "body_hash", "body_len", err));
    }
    return 0;
}

static int on_prepared(struct pv_stitch *s, struct pv_err *err)
{
    union pv_s_value *alias = NULL, *grp = NULL;
    static const char *const pipes[3] = {"stdin_ino", "stdout_ino", "stderr_ino"};
    if (number(s, "pid") == 0)
        return 0; /* a micro-VM is no process */
    PV_TRY(pv_stitch_group(s, number(s, "pid"), number(s, "start_ticks"), &grp, err));
    struct pv_s_group *g = &grp->group;
    g->domain = s->domain;
    g->instance = number(s, "instance");
    for (unsigned i = 0; i < 3; i++)
        g->ino[i] = number(s, pipes[i]);
    pv_state_touch(s->state, grp);
    PV_TRY(pv_state_get(s->state, PV_S_ALIAS_INST, s->domain, g->instance, 0, &alias, NULL, err));
    alias->alias.id = g->id;
    pv_state_touch(s->state, alias);
    s->grp = g->id;
    return pv_stitch_link_stdio(s, grp, err);
}

static int add_exchange(struct pv_stitch *s, struct pv_s_inv *v, const struct pv_s_exchange *x,
                        struct pv_err *err)
{
    union pv_s_value *conn = NULL, *slot = NULL;
    uint64_t c = number(s, "connection");
    PV_TRY(pv_state_get(s->state, PV_S_CONN, v->id, c, 0, &conn, NULL, err));
    uint64_t index = conn->conn.n++;
    pv_state_touch(s->state, conn);
    PV_TRY(pv_state_get(s->state, PV_S_EXCHANGE, v->id, c, index, &slot, NULL, err));
    slot->exchange = *x;
    v->unit.frozen = 1;
    PV_TRY(pv_stitch_edge(s, x->sent_node, v->unit.node, PV_R_GENERATED, s->seq, err));
    return pv_stitch_link_exchange(s, v->id, c, index, err);
}

/* What was refused is a thing of its own: nothing came of it, but it shows what was tried. */
static int refused(struct pv_stitch *s, struct pv_s_inv *v, const char *text, struct pv_err *err)
{
    struct pv_s_versions d;
    uint64_t name = 0;
    PV_TRY(pv_stitch_intern(s, text, &name, err));
    const struct pv_new_object o = {
        .type = PV_N_DENIED, .inv = v ? v->id : 0, .name = name, .flags = PV_NF_DENIED};
    PV_TRY(pv_stitch_object(s, &o, &d, err));
    if (!v)
        return 0;
    v->unit.frozen = 1;
    return pv_stitch_edge(s, d.node, v->unit.node, PV_R_GENERATED, s->seq, err);
}

static int on_call(struct pv_stitch *s, struct pv_s_inv *v, struct pv_err *err)
{
    struct pv_s_inv *callee = NULL;
    struct pv_call_id id = {{0}};
    char name[PV_NAME_MAX + 1], reason[200], text[300];
    const struct pv_value *field = pv_event_field(s->e, "callee");
    pv_event_get_text(s->e, "callee_function", name, sizeof name);
    pv_event_get_text(s->e, "reason", reason, sizeof reason);
    if (field->len == PV_CALL_ID_BYTES)
        memcpy(id.bytes, field->bytes, PV_CALL_ID_BYTES);
    if (!number(s, "allowed") || pv_call_id_is_none(&id)) {
        (void)snprintf(text, sizeof text, "call %s: %s", name, reason);
        return refused(s, v, text, err);
    }
    PV_TRY(pv_stitch_inv(s, &id, &callee, err));
    if (callee->version == UNREGISTERED) /* its payloads get their names here, once */
        PV_TRY(pv_stitch_intern_field(s, "callee_function", &callee->function, err));
    PV_TRY(pv_stitch_request_entity(s, callee, err));
    PV_TRY(pv_stitch_response_entity(s, callee, err));
    callee->caller = v->id;
    /* Caller's and callee's view of a payload are one entity with two witnesses. */
    const struct pv_s_exchange x = {.sent_ns = s->e->time_ns,
                                    .sent_node = callee->request,
                                    .sent_obj = callee->request,
                                    .received_node = callee->response,
                                    .received_obj = callee->response};
    return add_exchange(s, v, &x, err);
}

static int receive(struct pv_stitch *s, struct pv_s_inv *v, uint64_t node, struct pv_err *err)
{
    PV_TRY(pv_stitch_open_version(s, &v->unit, err));
    return pv_stitch_edge(s, v->unit.node, node, PV_R_USED, s->seq, err);
}

static int on_call_return(struct pv_stitch *s, struct pv_s_inv *v, struct pv_err *err)
{
    struct pv_s_inv *callee = NULL;
    struct pv_call_id id = {{0}};
    const struct pv_value *field = pv_event_field(s->e, "callee");
    if (field->len == PV_CALL_ID_BYTES)
        memcpy(id.bytes, field->bytes, PV_CALL_ID_BYTES);
    if (pv_call_id_is_none(&id))
        return 0;
    PV_TRY(pv_stitch_inv(s, &id, &callee, err));
    PV_TRY(pv_stitch_response_entity(s, callee, err));
    PV_TRY(measure(s, callee->response, "body_hash", "body_len", err));
    return receive(s, v, callee->response, err);
}

static int endpoint(struct pv_stitch *s, const char *host, union pv_s_value **ret,
                    struct pv_err *err)
{
    char text[400];
    uint64_t name = 0;
    (void)snprintf(text, sizeof text, "%s:%llu", host, (unsigned long long)number(s, "port"));
    PV_TRY(pv_stitch_intern(s, text, &name, err));
    PV_TRY(pv_stitch_named(s, PV_N_ENDPOINT, name, 0, 0, ret, err));
    pv_state_touch(s->state, *ret);
    return 0;
}

/* Version 0 of an endpoint stands for what it gives, each further one for what it was given at one
 * time: what it does in between is out of sight. */
static int on_egress(struct pv_stitch *s, struct pv_s_inv *v, struct pv_err *err)
{
    union pv_s_value *end = NULL;
    struct pv_s_versions sent, received;
    char host[300], method[32], target[512], text[900], reason[200];
    uint64_t name = 0;
    pv_event_get_text(s->e, "host", host, sizeof host);
    pv_event_get_text(s->e, "method", method, sizeof method);
    pv_event_get_text(s->e, "target", target, sizeof target);
    pv_event_get_text(s->e, "reason", reason, sizeof reason);
    if (!number(s, "allowed")) {
        (void)snprintf(text, sizeof text, "%s %s:%llu: %s", method, host,
                       (unsigned long long)number(s, "port"), reason);
        return refused(s, v, text, err);
    }
    (void)snprintf(text, sizeof text, "%s %s", method, target);
    PV_TRY(pv_stitch_intern(s, text, &name, err));
    PV_TRY(endpoint(s, host, &end, err));
    struct pv_new_object o = {.type = PV_N_SENT, .inv = v->id, .name = name};
    PV_TRY(pv_stitch_object(s, &o, &sent, err));
    o.type = PV_N_RECEIVED;
    PV_TRY(pv_stitch_object(s, &o, &received, err));
    PV_TRY(pv_stitch_edge(s, received.node, end->versions.obj, PV_R_DERIVED, s->seq, err));
    PV_TRY(pv_stitch_sibling(s, &end->versions, err));
    PV_TRY(pv_stitch_edge(s, end->versions.node, sent.node, PV_R_DERIVED, s->seq, err));
    /* An answer depends on what was asked; in a tunnel nobody can say which is which. */
    if (strcmp(method, "CONNECT") != 0)
        PV_TRY(pv_stitch_edge(s, received.node, sent.node, PV_R_DERIVED, s->seq, err));
    const struct pv_s_exchange x = {.is_egress = 1,
                                    .sent_ns = s->e->time_ns,
                                    .sent_node = sent.node,
                                    .sent_obj = sent.obj,
                                    .received_node = received.node,
                                    .received_obj = received.obj};
    return add_exchange(s, v, &x, err);
}

static int on_egress_end(struct pv_stitch *s, struct pv_s_inv *v, struct pv_err *err)
{
    union pv_s_value *conn = NULL, *slot = NULL;
    uint64_t c = number(s, "connection");
    PV_TRY(pv_state_find(s->state, PV_S_CONN, v->id, c, 0, &conn, err));
    if (!conn || conn->conn.n == 0)
        return 0;
    PV_TRY(pv_state_find(s->state, PV_S_EXCHANGE, v->id, c, conn->conn.n - 1, &slot, err));
    if (!slot || !slot->exchange.is_egress)
        return 0;
    struct pv_s_exchange *x = &slot->exchange;
    x->end_ns = s->e->time_ns;
    pv_state_touch(s->state, slot);
    PV_TRY(measure(s, x->sent_obj, "sent_hash", "sent_len", err));
    PV_TRY(measure(s, x->received_obj, "received_hash", "received_len", err));
    return number(s, "received_len") ? receive(s, v, x->received_node, err) : 0;
}

static int on_connection(struct pv_stitch *s, struct pv_s_inv *v, struct pv_err *err)
{
    union pv_s_value *alias = NULL;
    PV_TRY(
        pv_state_find(s->state, PV_S_ALIAS_INST, s->domain, number(s, "instance"), 0, &alias, err));
    if (!alias)
        return 0;
    return pv_stitch_link_connection(s, v->id, number(s, "connection"), alias->alias.id,
                                     number(s, "source_port"), err);
}

static int on_denied(struct pv_stitch *s, struct pv_s_inv *v, struct pv_err *err)
{
    char what[100], object[400], reason[200], text[800];
    pv_event_get_text(s->e, "what", what, sizeof what);
    pv_event_get_text(s->e, "object", object, sizeof object);
    pv_event_get_text(s->e, "reason", reason, sizeof reason);
    (void)snprintf(text, sizeof text, "%s %s: %s", what, object, reason);
    return refused(s, v, text, err);
}

/* Before the snapshot: its domain's first instance is still to come. */
static int on_start_read(struct pv_stitch *s, const char *path, struct pv_err *err)
{
    union pv_s_value *file = NULL, *start = NULL;
    PV_TRY(pv_stitch_file(s, number(s, "dev"), number(s, "ino"), path, &file, err));
    file->versions.frozen = 1;
    uint64_t read = file->versions.node;
    PV_TRY(pv_state_get(s->state, PV_S_START, s->domain, 0, 0, &start, NULL, err));
    struct pv_s_start *x = &start->start;
    pv_state_touch(s->state, start);
    if (!x->name)
        PV_TRY(pv_stitch_intern(s, "start of a program", &x->name, err));
    const struct pv_new_object o = {.type = PV_N_PROCESS, .name = x->name};
    if (!x->v.obj)
        PV_TRY(pv_stitch_object(s, &o, &x->v, err));
    PV_TRY(pv_stitch_open_version(s, &x->v, err));
    return pv_stitch_edge(s, x->v.node, read, PV_R_USED, s->seq, err);
}

/* What a micro-VM's monitor saw: it mediates everything, so what the function read is all there
 * is. Files that it can write vanish with it. */
static int on_access(struct pv_stitch *s, struct pv_s_inv *v, struct pv_err *err)
{
    char what[32], path[PV_PATH_MAX], text[PV_PATH_MAX + 64];
    union pv_s_value *file = NULL;
    pv_event_get_text(s->e, "what", what, sizeof what);
    pv_event_get_text(s->e, "path", path, sizeof path);
    if (v && (strcmp(what, "denied") == 0 || strcmp(what, "fault") == 0)) {
        (void)snprintf(text, sizeof text, "%s %s", what, path);
        return refused(s, v, text, err);
    }
    if (strcmp(what, "read") != 0 || number(s, "ino") == 0)
        return 0;
    if (!v)
        return on_start_read(s, path, err);
    PV_TRY(pv_stitch_file(s, number(s, "dev"), number(s, "ino"), path, &file, err));
    file->versions.frozen = 1;
    /* The gateway may have said already what left because of it: so it counts from the beginning.
     */
    return pv_stitch_edge(s, v->unit.obj, file->versions.node, PV_R_USED, s->seq, err);
}

static int on_limit(struct pv_stitch *s, struct pv_s_inv *v, struct pv_err *err)
{
    char limit[64], text[128];
    pv_event_get_text(s->e, "limit", limit, sizeof limit);
    (void)snprintf(text, sizeof text, "limit %s hit at %llu", limit,
                   (unsigned long long)number(s, "value"));
    return v ? refused(s, v, text, err) : 0;
}

static int on_alarm(struct pv_stitch *s, struct pv_s_inv *v, struct pv_err *err)
{
    char what[32], object[PV_PATH_MAX], text[PV_PATH_MAX + 64];
    pv_event_get_text(s->e, "what", what, sizeof what);
    pv_event_get_text(s->e, "object", object, sizeof object);
    (void)snprintf(text, sizeof text, "the monitor did: %s %s", what, object);
    return v ? refused(s, v, text, err) : 0;
}

static int on_deployment(struct pv_stitch *s, struct pv_err *err)
{
    union pv_s_value *fn = NULL;
    PV_TRY(function_agent(s, &fn, err));
    return pv_stitch_measure(s, fn->versions.obj, 0, pv_event_field(s->e, "measurement"), err);
}

static int on_secret(struct pv_stitch *s, struct pv_err *err)
{
    union pv_s_value *secret = NULL;
    uint64_t name = 0;
    PV_TRY(pv_stitch_intern_field(s, "name", &name, err));
    PV_TRY(pv_stitch_named(s, PV_N_SECRET, name, 0, PV_NF_SECRET, &secret, err));
    return pv_stitch_measure(s, secret->versions.obj, 0, pv_event_field(s->e, "content_hash"), err);
}

static int on_call_event(struct pv_stitch *s, struct pv_s_inv *v, struct pv_err *err)
{
    switch ((unsigned)s->e->kind) {
    case PV_K_REQUEST:
        return on_request(s, v, err);
    case PV_K_RESPONSE:
        return on_response(s, v, err);
    case PV_K_CALL:
        return on_call(s, v, err);
    case PV_K_CALL_RETURN:
        return on_call_return(s, v, err);
    case PV_K_EGRESS:
        return on_egress(s, v, err);
    case PV_K_EGRESS_END:
        return on_egress_end(s, v, err);
    case PV_K_INVOCATION_BEGIN:
        return on_begin(s, v, err);
    case PV_K_INVOCATION_END:
        return on_end(s, v, err);
    case PV_K_CONNECTION:
        return on_connection(s, v, err);
    default:
        return 0;
    }
}

int pv_stitch_inside(struct pv_stitch *s, struct pv_err *err)
{
    struct pv_s_inv *v = NULL;
    if (!pv_call_id_is_none(&s->e->invocation)) {
        PV_TRY(pv_stitch_inv(s, &s->e->invocation, &v, err));
        s->inv = v->id;
        s->back = v->events_end ? s->seq + 1 - v->events_end : 0;
        v->events_end = s->seq + 1;
    }
    switch ((unsigned)s->e->kind) {
    case PV_K_DOMAIN_OPEN:
        return on_domain_open(s, err);
    case PV_K_INSTANCE_PREPARED:
        return on_prepared(s, err);
    case PV_K_DEPLOYMENT:
        return on_deployment(s, err);
    case PV_K_SECRET_MOUNTED:
    case PV_K_SECRET_CHANGE:
        return on_secret(s, err);
    case PV_K_DENIED:
        return on_denied(s, v, err);
    case PV_K_ACCESS:
        return on_access(s, v, err);
    case PV_K_LIMIT:
        return on_limit(s, v, err);
    case PV_K_MONITOR_ALARM:
        return on_alarm(s, v, err);
    default:
        return v ? on_call_event(s, v, err) : 0;
    }
}
