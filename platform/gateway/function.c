#include "function.h"

#include "supervisor.h"

#include "pv/log.h"
#include "pv/ratchet.h"
#include "pv/role.h"

#include <event2/event.h>
#include <string.h>
#include <unistd.h>

enum { NAMES_MAX = 10 * PV_FUNCTIONS_MAX }; /* removed functions keep their version counter */

static const bool allowed[GW_V_STATES][GW_V_STATES] = {
    [GW_V_STARTING] =
        {[GW_V_READY] = true, [GW_V_DOWN] = true, [GW_V_FAILED] = true, [GW_V_RETIRED] = true},
    [GW_V_READY] = {[GW_V_DOWN] = true, [GW_V_FAILED] = true, [GW_V_RETIRED] = true},
    [GW_V_DOWN] = {[GW_V_STARTING] = true, [GW_V_FAILED] = true, [GW_V_RETIRED] = true},
    [GW_V_FAILED] = {[GW_V_STARTING] = true, [GW_V_READY] = true, [GW_V_RETIRED] = true},
    [GW_V_RETIRED] = {[GW_V_STOPPED] = true},
};

void gw_version_move(struct gw_version *v, enum gw_version_state to)
{
    if (!allowed[v->state][to])
        abort(); /* a bug of ours, in every build */
    v->state = to;
}

const char *gw_version_state_name(const struct gw_version *v)
{
    static const char *const names[GW_V_STATES] = {"starting", "ready",   "restarting",
                                                   "failed",   "retired", "stopped"};
    return names[v->state];
}

struct gw_function *gw_function_find(struct gateway *gw, const char *name)
{
    struct gw_function *f;
    HASH_FIND_STR(gw->functions, name, f);
    return f;
}

struct gw_function *gw_function_get(struct gateway *gw, const char *name)
{
    struct gw_function *f = gw_function_find(gw, name);
    if (f || gw->n_functions >= NAMES_MAX)
        return f;
    f = calloc(1, sizeof *f);
    if (!f)
        return NULL;
    snprintf(f->name, sizeof f->name, "%s", name);
    HASH_ADD_STR(gw->functions, name, f);
    gw->n_functions++;
    return f;
}

struct gw_function *gw_function_next(const struct gw_function *f)
{
    return f->hh.next;
}

unsigned gw_function_absent(const struct gw_function *f, const char **ret_why)
{
    bool damaged = f && f->damage[0];
    *ret_why = damaged ? f->damage : "no such function";
    return damaged ? 503 : 404;
}

void gw_make_printable(char *text)
{
    json_t *valid = json_string(text);
    for (char *c = text; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f || (!valid && (unsigned char)*c > 0x7f))
            *c = '?';
    json_decref(valid);
}

unsigned gw_version_available(const struct gw_version *v)
{
    return v->state == GW_V_READY ? v->spec.concurrency : 0;
}

void gw_version_close(struct gw_version *v)
{
    if (v->fd < 0)
        return;
    (void)event_del(&v->read_event);
    (void)event_del(&v->write_event);
    (void)close(v->fd);
    v->fd = -1;
    v->prepared = v->running = 0;
}

static void free_version(struct gw_version *v)
{
    gw_version_close(v);
    gw_supervisor_forget(v->gw, v);
    LIST_REMOVE(v, link);
    v->gw->packages_due = true;
    pv_spec_done(&v->spec);
    pv_buf_done(&v->encoded);
    json_decref(v->annotations);
    free(v);
}

int gw_version_new(struct gw_version **ret, struct gateway *gw, struct gw_function *f,
                   struct pv_spec *spec, struct pv_err *err)
{
    struct gw_version *v = calloc(1, sizeof *v);
    if (!v)
        return pv_fail(err, ENOMEM, "allocate a function version");
    pv_buf_init(&v->encoded, PV_SPEC_MAX);
    int rc = pv_spec_encode(spec, &v->encoded, err);
    if (rc < 0) {
        pv_buf_done(&v->encoded);
        free(v);
        return rc;
    }
    pv_sha256(v->encoded.data, v->encoded.len, v->spec_hash);
    v->gw = gw;
    v->function = f;
    v->fd = -1;
    v->spec = *spec;
    v->replicas = spec->prepared;
    *spec = (struct pv_spec){0};
    TAILQ_INIT(&v->queue);
    LIST_INSERT_HEAD(&gw->versions, v, link);
    *ret = v;
    return 0;
}

struct gw_version *gw_version_find(struct gateway *gw, const char *name, uint64_t version)
{
    struct gw_version *v;
    LIST_FOREACH(v, &gw->versions, link)
    if (v->spec.version == version && strcmp(v->spec.name, name) == 0)
        return v;
    return NULL;
}

void gw_version_settle(struct gw_version *v, const char *error)
{
    struct gw_deploy *d = v->deploy;
    v->deploy = NULL;
    if (d)
        v->settled(d, error);
}

static void on_stopped(struct gateway *gw, void *ctx, struct gw_answer *a)
{
    (void)gw;
    if (a->rc && a->rc != ENOENT) /* it may have ended, or never been started */
        pv_log(PV_LOG_ERROR, "stop a host: %s", a->error);
    free_version(ctx);
}

void gw_version_stop(struct gw_version *v)
{
    pv_automsg struct pv_msg m;
    struct pv_err err = PV_ERR_INIT;
    uint64_t tag;
    gw_supervisor_forget(v->gw, v);
    gw_supervisor_init(v->gw, &m, PV_SUP_HOST_STOP, &tag);
    pv_buf_str(&m.body, v->spec.name);
    pv_buf_u64(&m.body, v->spec.version);
    int rc = gw_supervisor_ask(v->gw, &m, tag, PV_SUP_DONE, on_stopped, v, &err);
    v->ask_again = gw_supervisor_busy(rc);
    /* Callers still hold v: after another failure it stays, and the supervisor ends its host at its
     * own end. */
    if (rc < 0 && !v->ask_again)
        pv_log(PV_LOG_ERROR, "stop the host of %s: %s", v->spec.name, err.text);
}

void gw_version_idle_check(struct gw_version *v)
{
    if (v->state != GW_V_RETIRED || v->in_flight || v->queued)
        return;
    gw_version_move(v, GW_V_STOPPED);
    gw_version_stop(v);
}
