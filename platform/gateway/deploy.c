#include "deploy.h"

#include "deploy_json.h"
#include "describe.h"
#include "host_link.h"
#include "record.h"
#include "registry.h"
#include "version.h"

#include "pv/clock.h"
#include "pv/log.h"
#include "pv/own.h"
#include "pv/role.h"

#include <string.h>

struct gw_deploy {
    LIST_ENTRY(gw_deploy) link;
    struct gateway *gw;
    struct gw_conn *conn; /* NULL: the client is gone; the deployment goes on */
    struct gw_function *function;
    struct gw_version *version;
    struct gw_deploy_request request;
    char agent[200]; /* who deploys */
    gw_deployed_fn *ended;
    void *ctx;
    uint64_t since_ns; /* of one that waits for the function's other deployment */
};

static void begin_anew(struct gw_deploy *d);

/* The function is free for the next: one that waits, or whoever hears of the end. */
static void end_deploy(struct gw_deploy *d, const char *error)
{
    struct gw_deploy *next;
    struct gw_function *f = d->function;
    gw_deployed_fn *ended = d->ended;
    void *ctx = d->ctx;
    f->deploying = false;
    if (d->conn)
        d->conn->waiter = NULL;
    LIST_REMOVE(d, link);
    gw_deploy_request_done(&d->request);
    LIST_FOREACH(next, &d->gw->waiting_deploys, link)
    if (next->function == f)
        break;
    free(d);
    if (next)
        begin_anew(next);
    if (ended)
        ended(ctx, f, error);
}

static void fail_deploy(struct gw_deploy *d, unsigned status, const char *why)
{
    struct gw_conn *c = d->conn;
    char text[700]; /* why may be the deployment's own */
    pv_log(PV_LOG_WARN, "deploy %s: %s", d->function->name, why);
    snprintf(text, sizeof text, "%s", why);
    d->gw->packages_due = true;
    end_deploy(d, text);
    if (c)
        gw_conn_text(c, status, "%s", text);
}

static void record_deployment(struct gw_version *v, const char *agent)
{
    struct pv_event e;
    pv_event_init(&e, PV_K_DEPLOYMENT, NULL);
    pv_event_text(&e, v->spec.name);
    pv_event_u64(&e, v->spec.version);
    pv_event_bytes(&e, v->spec.package, sizeof v->spec.package);
    pv_event_bytes(&e, v->spec_hash, sizeof v->spec_hash);
    pv_event_text(&e, agent);
    gw_record(v->gw, &e);
}

/* The version that d waits for is ready (error NULL), or never will be. */
static void on_settled(struct gw_deploy *d, const char *error)
{
    struct gw_version *v = d->version;
    struct pv_err err = PV_ERR_INIT;
    char why[sizeof err.text];
    int rc = error ? v->start_rc : gw_registry_save(v, &err);
    if (rc < 0 && !error)
        error = err.text;
    if (error) {
        snprintf(why, sizeof why, "%s", error);
        gw_version_retire(v);
        fail_deploy(d, gw_status_of_errno(rc), why);
        return;
    }
    struct gw_conn *c = d->conn;
    record_deployment(v, d->agent);
    gw_version_install(v);
    pv_log(PV_LOG_INFO, "deployed %s version %lu (%s)", v->spec.name, v->spec.version, v->mode);
    json_t *answer = c ? gw_version_json(v) : NULL;
    end_deploy(d, NULL);
    if (c)
        gw_conn_json(c, 202, answer);
}

/* The measured package becomes part of the specification. */
static int complete_spec(struct gw_deploy *d, struct gw_answer *a, struct pv_err *err)
{
    struct pv_spec *s = &d->request.spec;
    char command[PV_PATH_MAX], kind[64];
    const uint8_t *measurement = pv_read_raw(a->body, sizeof s->package);
    if (measurement)
        memcpy(s->package, measurement, sizeof s->package);
    pv_read_str(a->body, command, sizeof command);
    pv_read_str(a->body, kind, sizeof kind);
    PV_TRY(pv_reader_end(a->body, "the supervisor's answer", err));
    /* Without a default command the supervisor says why and what to do. */
    if (s->argv.n == 0 && !command[0])
        return pv_refuse(err, EINVAL, "%s",
                         a->error[0] ? a->error : "the package has no default command");
    if (s->argv.n == 0)
        PV_TRY(pv_str_list_add(&s->argv, command, PV_ARGV_MAX, err));
    s->version = ++d->function->last_version;
    /* On disk before it is used, so that no two versions ever have one number. */
    return pv_wrap(err, gw_registry_reserve(d->gw, d->function, err), "reserve its version number");
}

static int start_version(struct gw_deploy *d, struct pv_err *err)
{
    struct gw_version *v;
    PV_TRY(gw_version_new(&v, d->gw, d->function, &d->request.spec, err));
    snprintf(v->image, sizeof v->image, "%s", d->request.image);
    v->annotations = PV_TAKE_PTR(d->request.annotations);
    v->created_ns = pv_now_real_ns();
    d->version = v;
    int rc = gw_version_start(v, err);
    if (rc < 0) {
        gw_version_retire(v);
        return rc;
    }
    v->settled = on_settled;
    v->deploy = d;
    return 0;
}

static void on_imported(struct gateway *gw, void *ctx, struct gw_answer *a)
{
    struct gw_deploy *d = ctx;
    struct pv_err err = PV_ERR_INIT;
    (void)gw;
    if (a->rc)
        fail_deploy(d, gw_status_of_errno((int)a->rc), a->error);
    else if (complete_spec(d, a, &err) < 0 || start_version(d, &err) < 0)
        fail_deploy(d, gw_status_of_errno(err.code), err.text);
}

static int ask_import(struct gw_deploy *d, struct pv_err *err)
{
    pv_automsg struct pv_msg m;
    uint64_t tag;
    gw_supervisor_init(d->gw, &m, PV_SUP_IMPORT, &tag);
    pv_buf_str(&m.body, d->request.image);
    return gw_supervisor_ask(d->gw, &m, tag, PV_SUP_IMPORTED, on_imported, d, err);
}

/* A request must not reach the gateway by the way that leads outside. */
static int check_egress(const struct gateway *gw, const struct pv_spec *s, struct pv_err *err)
{
    if (!pv_str_list_has(&s->egress, gw->listen))
        return 0;
    return pv_refuse(err, EINVAL, "egress to the gateway itself: grant calls instead");
}

static unsigned live_functions(struct gateway *gw)
{
    unsigned n = 0;
    for (struct gw_function *f = gw->functions; f; f = gw_function_next(f))
        n += f->current != NULL;
    return n;
}

/* The function to deploy to; NULL after an answer. */
static struct gw_function *target_function(struct gw_conn *c, const struct pv_spec *s,
                                           bool must_exist)
{
    struct gw_function *f = gw_function_find(c->gw, s->name);
    if (must_exist && !(f && (f->current || f->damage[0]))) {
        gw_conn_text(c, 404, "no such function: create it with POST");
        return NULL;
    }
    if (!(f && f->current) && live_functions(c->gw) >= PV_FUNCTIONS_MAX) {
        gw_conn_text(c, 400, "there are %d functions already", PV_FUNCTIONS_MAX);
        return NULL;
    }
    f = gw_function_get(c->gw, s->name);
    if (!f)
        gw_conn_text(c, 503, "too many function names were used");
    else if (f->deploying)
        gw_conn_text(c, 409, "another deployment of this function is under way; try again");
    return f && !f->deploying ? f : NULL;
}

static void deploy(struct gw_conn *c, bool must_exist)
{
    struct pv_err err = PV_ERR_INIT;
    struct gw_deploy_request request;
    struct gw_function *f = NULL;
    struct gw_deploy *d = NULL;
    if (!gw_record_room(c->gw)) {
        gw_conn_hold(c);
        return;
    }
    if (gw_deploy_parse(c->body.data, c->body.len, &request, &err) < 0 ||
        check_egress(c->gw, &request.spec, &err) < 0)
        gw_conn_text(c, 400, "%s", err.text);
    else if (!pv_name_ok(request.spec.name))
        gw_conn_text(
            c, 400, "service: a name has lower-case letters and digits only, and '-' between them");
    else if ((f = target_function(c, &request.spec, must_exist)) && !(d = calloc(1, sizeof *d)))
        gw_conn_text(c, 503, "not enough memory");
    if (!d) {
        gw_deploy_request_done(&request);
        return;
    }
    d->gw = c->gw;
    d->conn = c;
    d->function = f;
    d->request = request;
    snprintf(d->agent, sizeof d->agent, "admin");
    f->deploying = true;
    c->waiter = &d->conn;
    LIST_INSERT_HEAD(&c->gw->deploys, d, link);
    if (ask_import(d, &err) < 0)
        fail_deploy(d, 503, err.text);
}

/* A deployment of what f is already, that nobody asked for; in no list yet. NULL when memory is
 * short. */
static struct gw_deploy *deploy_of(struct gateway *gw, struct gw_function *f, const char *reason)
{
    struct gw_deploy *d = calloc(1, sizeof *d);
    if (!d)
        return NULL;
    d->gw = gw;
    d->function = f;
    snprintf(d->agent, sizeof d->agent, "platform: %s", reason);
    return d;
}

static void begin(struct gw_deploy *d)
{
    d->function->deploying = true;
    LIST_INSERT_HEAD(&d->gw->deploys, d, link);
}

/* class: AUTO leaves it as it is; fallback: why it changes, or NULL. */
static int start_again(struct gw_deploy *d, const struct gw_version *v, enum pv_class class,
                       const char *fallback, struct pv_err *err)
{
    struct pv_spec *s = &d->request.spec;
    PV_TRY(pv_spec_decode(v->encoded.data, v->encoded.len, s, err));
    if (class != PV_CLASS_AUTO)
        s->class = class;
    s->version = ++d->function->last_version;
    PV_TRY(gw_registry_reserve(d->gw, d->function, err));
    snprintf(d->request.image, sizeof d->request.image, "%s", v->image);
    d->request.annotations = v->annotations ? json_deep_copy(v->annotations) : json_object();
    if (fallback)
        (void)json_object_set_new(d->request.annotations, GW_FALLBACK, json_string(fallback));
    PV_TRY(start_version(d, err));
    d->version->replicas = v->replicas;
    return 0;
}

/* Its requests go on failing: who asks is told why. */
static void on_moved(void *ctx, const struct gw_function *f, const char *error)
{
    (void)ctx;
    if (error && f->current)
        snprintf(f->current->unmoved, sizeof f->current->unmoved, "%s", error);
}

void gw_deploy_as_process(struct gw_version *v, const char *reason)
{
    struct pv_err err = PV_ERR_INIT;
    struct gw_function *f = v->function;
    if (v->misfit || v->spec.class != PV_CLASS_AUTO || f->current != v || f->deploying ||
        !gw_record_room(v->gw))
        return;
    struct gw_deploy *d = deploy_of(v->gw, f, reason);
    if (!d)
        return;
    v->misfit = true;
    d->ended = on_moved;
    begin(d);
    pv_log(PV_LOG_WARN, "%s is deployed as a process: %s", f->name, reason);
    if (start_again(d, v, PV_CLASS_PROCESS, reason, &err) < 0)
        fail_deploy(d, 503, err.text);
}

/* d leaves the list of those that wait. */
static void begin_anew(struct gw_deploy *d)
{
    struct pv_err err = PV_ERR_INIT;
    const struct gw_version *v = d->function->current;
    LIST_REMOVE(d, link);
    begin(d);
    if (!v || v->asked_ns > d->since_ns)
        end_deploy(d, NULL);
    else if (start_again(d, v, PV_CLASS_AUTO, NULL, &err) < 0)
        fail_deploy(d, 503, err.text);
}

void gw_deploy_anew(struct gateway *gw, struct gw_function *f, uint64_t since_ns,
                    const char *reason, gw_deployed_fn *ended, void *ctx)
{
    struct gw_deploy *d = deploy_of(gw, f, reason);
    if (!d) {
        ended(ctx, f, "not enough memory");
        return;
    }
    d->ended = ended;
    d->ctx = ctx;
    d->since_ns = since_ns;
    LIST_INSERT_HEAD(&gw->waiting_deploys, d, link);
    if (!f->deploying)
        begin_anew(d);
}

bool gw_deploy_uses_secret(const struct gateway *gw, const struct gw_function *f,
                           const char *secret)
{
    const struct gw_deploy *d;
    LIST_FOREACH(d, &gw->deploys, link)
    if (d->function == f)
        return pv_str_list_has(d->version ? &d->version->spec.secrets : &d->request.spec.secrets,
                               secret);
    return false;
}

bool gw_deploy_importing(const struct gateway *gw)
{
    const struct gw_deploy *d;
    LIST_FOREACH(d, &gw->deploys, link)
    if (!d->version)
        return true;
    return false;
}

void gw_deploy_post(struct gw_conn *c)
{
    deploy(c, false);
}

void gw_deploy_put(struct gw_conn *c)
{
    deploy(c, true);
}

/* The function that the JSON body names under key, deployed at present; NULL after an answer. */
static struct gw_version *body_function(struct gw_conn *c, const char *key)
{
    json_t *o = json_loadb((const char *)c->body.data, c->body.len, JSON_REJECT_DUPLICATES, NULL);
    const char *name = json_string_value(json_object_get(o, key));
    struct gw_function *f = name ? gw_function_find(c->gw, name) : NULL;
    if (!name)
        gw_conn_text(c, 400, "the body must be a JSON object with '%s'", key);
    else if (!f || !f->current) {
        const char *why;
        unsigned status = gw_function_absent(f, &why);
        gw_conn_text(c, status, "%s", why);
    }
    json_decref(o);
    return f ? f->current : NULL;
}

void gw_function_delete(struct gw_conn *c)
{
    struct pv_err err = PV_ERR_INIT;
    if (!gw_record_room(c->gw)) {
        gw_conn_hold(c);
        return;
    }
    struct gw_version *v = body_function(c, "functionName");
    if (!v)
        return;
    if (v->function->deploying) {
        gw_conn_text(c, 409, "a deployment of this function is under way; try again");
        return;
    }
    int rc = gw_registry_remove(v->gw, v->function, &err);
    if (rc < 0) {
        gw_conn_text(c, gw_status_of_errno(rc), "%s", err.text);
        return;
    }
    struct pv_event e;
    pv_event_init(&e, PV_K_REMOVAL, NULL);
    pv_event_text(&e, v->spec.name);
    pv_event_u64(&e, v->spec.version);
    pv_event_text(&e, "admin");
    gw_record(v->gw, &e);
    gw_version_retire(v);
    gw_conn_text(c, 202, "removed");
}

void gw_function_scale(struct gw_conn *c)
{
    struct gw_version *v = body_function(c, "serviceName");
    if (!v)
        return;
    json_t *o = json_loadb((const char *)c->body.data, c->body.len, 0, NULL);
    const json_t *n = json_object_get(o, "replicas");
    bool ok = json_is_integer(n) && json_integer_value(n) >= 0 &&
              json_integer_value(n) <= v->spec.concurrency;
    if (ok)
        gw_link_scale(v, (uint32_t)json_integer_value(n));
    json_decref(o);
    if (ok)
        gw_conn_text(c, 202, "scaled");
    else
        gw_conn_text(c, 400, "'replicas' must be a number from 0 to the function's concurrency %u",
                     v->spec.concurrency);
}
