#include "secrets.h"

#include "base64.h"
#include "deploy.h"
#include "deploy_json.h"
#include "function.h"
#include "record.h"
#include "supervisor.h"

#include "pv/clock.h"
#include "pv/own.h"
#include "pv/role.h"

#include <string.h>

/* A client that waits for the supervisor, and then for the functions that use a secret: one after
 * another, for many that start at once take longer than is given to each to come to its first read,
 * and would be prepared in another way for good. */
struct job {
    struct gateway *gw;
    struct gw_conn *conn; /* NULL: gone */
    unsigned success;
    char name[PV_NAME_MAX + 1];
    uint64_t asked_ns; /* monotonic */
    bool replaced;
    struct gw_function *next; /* to look at; NULL: none */
    char mode[32];            /* of the version before the one that is being deployed */
    json_t *deployed;         /* owned, or NULL */
    char problem[600];        /* the first */
    unsigned n_problems;
};

static struct job *new_job(struct gw_conn *c, unsigned success)
{
    struct job *j = calloc(1, sizeof *j);
    if (!j) {
        gw_conn_text(c, 503, "not enough memory");
        return NULL;
    }
    j->gw = c->gw;
    j->conn = c;
    j->success = success;
    c->waiter = &j->conn;
    return j;
}

static void free_job(struct job *j)
{
    json_decref(j->deployed);
    free(j);
}

static void drop_job(struct job *j, const struct pv_err *err)
{
    j->conn->waiter = NULL;
    gw_conn_text(j->conn, 503, "%s", err->text);
    free_job(j);
}

static void on_done(struct gateway *gw, void *ctx, struct gw_answer *a)
{
    struct job *j = ctx;
    (void)gw;
    if (j->conn && a->rc)
        gw_conn_text(j->conn, a->rc == ENOENT ? 404 : gw_status_of_errno((int)a->rc), "%s",
                     a->error);
    else if (j->conn)
        gw_conn_text(j->conn, j->success, "done");
    free_job(j);
}

static bool uses(const struct gateway *gw, const struct gw_function *f, const char *secret)
{
    return (f->current && pv_str_list_has(&f->current->spec.secrets, secret)) ||
           gw_deploy_uses_secret(gw, f, secret);
}

static void answer_put(struct job *j)
{
    char done[512] = "";
    size_t i, n = 0;
    json_t *d;
    json_array_foreach(j->deployed, i, d) if (n < sizeof done) n +=
        (size_t)snprintf(done + n, sizeof done - n, "%s %s", i ? "," : "; deployed were",
                         json_string_value(json_object_get(d, "name")));
    if (j->conn && j->n_problems)
        gw_conn_text(j->conn, 500,
                     "it was replaced, but %u of the functions that use it go on with the old "
                     "content until their hosts are started anew; deploy them again: %s%s",
                     j->n_problems, j->problem, done);
    else if (j->conn)
        gw_conn_json(j->conn, j->success,
                     json_pack("{s:s, s:b, s:O}", "name", j->name, "replaced", j->replaced,
                               "deployed", j->deployed));
    free_job(j);
}

static void deploy_next(struct job *j);

static void on_deployed(void *ctx, const struct gw_function *f, const char *error)
{
    struct job *j = ctx;
    const struct gw_version *v = f->current;
    if (error && j->n_problems++ == 0)
        snprintf(j->problem, sizeof j->problem, "%s: %s", f->name, error);
    else if (!error && v)
        (void)json_array_append_new(j->deployed,
                                    json_pack("{s:s, s:I, s:s, s:s}", "name", f->name, "version",
                                              (json_int_t)v->spec.version, "mode", v->mode,
                                              "mode_before", j->mode[0] ? j->mode : v->mode));
    deploy_next(j);
}

/* A function sees the content that there was when its host was started. */
static void deploy_next(struct job *j)
{
    char reason[128];
    struct gw_function *f = j->next;
    while (f && !uses(j->gw, f, j->name))
        f = gw_function_next(f);
    if (!f) {
        answer_put(j);
        return;
    }
    j->next = gw_function_next(f);
    snprintf(reason, sizeof reason, "secret '%s' was replaced", j->name);
    snprintf(j->mode, sizeof j->mode, "%s", f->current ? f->current->mode : "");
    gw_deploy_anew(j->gw, f, j->asked_ns, reason, on_deployed, j);
}

static void on_put(struct gateway *gw, void *ctx, struct gw_answer *a)
{
    struct job *j = ctx;
    if (a->rc) {
        on_done(gw, ctx, a);
        return;
    }
    j->replaced = strcmp(a->error, PV_SECRET_REPLACED) == 0;
    j->deployed = json_array();
    j->next = j->replaced ? gw->functions : NULL;
    deploy_next(j);
}

static json_t *secrets_json(struct pv_reader *r)
{
    char name[PV_NAME_MAX + 1];
    json_t *list = json_array();
    uint32_t n = pv_read_u32(r);
    for (uint32_t i = 0; i < n && !r->failed; i++) {
        pv_read_str(r, name, sizeof name);
        if (!r->failed)
            (void)json_array_append_new(
                list, json_pack("{s:s, s:s}", "name", name, "namespace", GW_NAMESPACE));
    }
    return list;
}

static void on_list(struct gateway *gw, void *ctx, struct gw_answer *a)
{
    struct job *j = ctx;
    (void)gw;
    json_t *list = a->body ? secrets_json(a->body) : NULL;
    if (j->conn && (!list || a->body->failed))
        gw_conn_text(j->conn, 500, "%s", a->rc ? a->error : "the supervisor's list is malformed");
    else if (j->conn)
        gw_conn_json(j->conn, 200, json_incref(list));
    json_decref(list);
    free_job(j);
}

void gw_secrets_list(struct gw_conn *c)
{
    pv_automsg struct pv_msg m = {0};
    struct pv_err err = PV_ERR_INIT;
    uint64_t tag;
    struct job *j = new_job(c, 200);
    if (!j)
        return;
    gw_supervisor_init(c->gw, &m, PV_SUP_SECRET_LIST, &tag);
    if (gw_supervisor_ask(c->gw, &m, tag, PV_SUP_SECRETS, on_list, j, &err) < 0)
        drop_job(j, &err);
}

/* The request's object, its name checked; NULL after an answer. */
static json_t *parse_request(struct gw_conn *c, const char **ret_name)
{
    struct pv_err err = PV_ERR_INIT;
    json_t *o = gw_json_object(c->body.data, c->body.len, &err);
    const char *name = json_string_value(json_object_get(o, "name"));
    if (o && name && pv_name_ok(name)) {
        *ret_name = name;
        return o;
    }
    gw_conn_text(c, 400, "%s",
                 o ? "a secret needs a name of lower-case letters, digits and '-'" : err.text);
    json_decref(o);
    return NULL;
}

/* Takes "value" (text) or "rawValue" (base 64) into out; the length, or -1. */
static long secret_content(const json_t *o, uint8_t *out, size_t cap)
{
    const json_t *value = json_object_get(o, "value");
    const json_t *raw = json_object_get(o, "rawValue");
    size_t len;
    if (raw && json_string_length(raw))
        return gw_base64_decode(json_string_value(raw), json_string_length(raw), out, cap, &len)
                   ? (long)len
                   : -1;
    len = json_string_length(value);
    if (!json_is_string(value) || len > cap)
        return -1;
    memcpy(out, json_string_value(value), len);
    return (long)len;
}

void gw_secret_put(struct gw_conn *c)
{
    static uint8_t content[PV_SECRET_MAX];
    const char *name;
    if (!gw_record_room(c->gw)) {
        gw_conn_hold(c);
        return;
    }
    json_t *o = parse_request(c, &name);
    if (!o)
        return;
    long len = secret_content(o, content, sizeof content);
    explicit_bzero(c->body.data, c->body.len);
    struct job *j = NULL;
    if (len < 0)
        gw_conn_text(c, 400, "'value' (text) or 'rawValue' (base 64) is missing or over %u KiB",
                     PV_SECRET_MAX >> 10);
    else
        j = new_job(c, strcmp(c->head->method, "PUT") == 0 ? 200 : 201);
    if (j) {
        pv_automsg struct pv_msg m = {0};
        struct pv_err err = PV_ERR_INIT;
        uint64_t tag;
        snprintf(j->name, sizeof j->name, "%s", name);
        j->asked_ns = pv_now_mono_ns();
        gw_supervisor_init(c->gw, &m, PV_SUP_SECRET_PUT, &tag);
        pv_buf_str(&m.body, name);
        pv_buf_bytes(&m.body, content, (size_t)len);
        if (gw_supervisor_ask(c->gw, &m, tag, PV_SUP_DONE, on_put, j, &err) < 0)
            drop_job(j, &err);
        explicit_bzero(m.body.data, m.body.len);
    }
    explicit_bzero(content, sizeof content);
    json_decref(o);
}

/* A function that has the secret mounted, or is about to, or NULL. */
static const char *user_of(const struct gateway *gw, const char *secret)
{
    for (struct gw_function *f = gw->functions; f; f = gw_function_next(f))
        if (uses(gw, f, secret))
            return f->name;
    return NULL;
}

void gw_secret_delete(struct gw_conn *c)
{
    const char *name;
    json_t *o = parse_request(c, &name);
    const char *user = o ? user_of(c->gw, name) : NULL;
    if (user)
        gw_conn_text(c, 409, "secret '%s' is used by function '%s'; remove or redeploy that first",
                     name, user);
    struct job *j = o && !user ? new_job(c, 202) : NULL;
    if (j) {
        pv_automsg struct pv_msg m = {0};
        struct pv_err err = PV_ERR_INIT;
        uint64_t tag;
        gw_supervisor_init(c->gw, &m, PV_SUP_SECRET_DELETE, &tag);
        pv_buf_str(&m.body, name);
        if (gw_supervisor_ask(c->gw, &m, tag, PV_SUP_DONE, on_done, j, &err) < 0)
            drop_job(j, &err);
    }
    json_decref(o);
}
