#include "api.h"

#include "auth.h"
#include "deploy.h"
#include "describe.h"
#include "function_logs.h"
#include "invoke.h"
#include "metrics.h"
#include "record.h"
#include "secrets.h"

#include <string.h>
#include <sys/utsname.h>

static void get_healthz(struct gw_conn *c)
{
    gw_conn_reply(c, 200, "text/plain; charset=utf-8", "OK\n", 3);
}

static void get_namespaces(struct gw_conn *c)
{
    gw_conn_json(c, 200, json_pack("[s]", GW_NAMESPACE));
}

static void get_info(struct gw_conn *c)
{
    struct utsname u;
    const char *arch = uname(&u) == 0 ? u.machine : "unknown";
    gw_conn_json(c, 200,
                 json_pack("{s:s, s:{s:s, s:s, s:{s:s, s:s}}, s:{s:s, s:s}, s:{s:s, s:b}}", "arch",
                           arch, "provider", "provider", "provost", "orchestration", "provost",
                           "version", "release", PV_VERSION, "sha", "", "version", "release",
                           PV_VERSION, "sha", "", "provost", "listen", c->gw->listen, "audit",
                           c->gw->audit));
}

static void async_invoke(struct gw_conn *c)
{
    gw_conn_text(c, 501,
                 "asynchronous invocations are not offered by this version; use "
                 "/function/%.63s",
                 c->rest);
}

struct route {
    const char *method; /* NULL: any */
    const char *path;
    bool prefix;        /* path is the start of the target; the rest goes to the handler */
    bool for_functions; /* an invocation may use it through the broker */
    gw_handler *handler;
};

static const struct route routes[] = {
    {NULL, "/function/", true, true, gw_invoke},
    {NULL, "/async-function/", true, true, async_invoke},
    {"GET", "/healthz", false, false, get_healthz},
    {"GET", "/metrics", false, false, gw_metrics_get},
    {"GET", "/system/functions", false, false, gw_functions_list},
    {"POST", "/system/functions", false, false, gw_deploy_post},
    {"PUT", "/system/functions", false, false, gw_deploy_put},
    {"DELETE", "/system/functions", false, false, gw_function_delete},
    {"GET", "/system/function/", true, false, gw_function_describe},
    {"POST", "/system/scale-function/", true, false, gw_function_scale},
    {"GET", "/system/info", false, false, get_info},
    {"GET", "/system/namespaces", false, false, get_namespaces},
    {"GET", "/system/secrets", false, false, gw_secrets_list},
    {"POST", "/system/secrets", false, false, gw_secret_put},
    {"PUT", "/system/secrets", false, false, gw_secret_put},
    {"DELETE", "/system/secrets", false, false, gw_secret_delete},
    {"GET", "/system/logs", false, false, gw_logs_get},
};

static bool path_matches(const struct route *r, const char *target)
{
    size_t len = strlen(r->path);
    if (strncmp(target, r->path, len) != 0)
        return false;
    return r->prefix || target[len] == 0 || target[len] == '?';
}

static bool method_matches(const struct route *r, const char *method)
{
    if (!r->method || strcmp(r->method, method) == 0)
        return true;
    return strcmp(r->method, "GET") == 0 && strcmp(method, "HEAD") == 0;
}

/* What an invocation asks of its broker: other functions, nothing else. */
static gw_handler *route_for_function(struct gw_conn *c, const struct route *r)
{
    if (r && r->for_functions)
        return r->handler;
    static const char reason[] = "functions may call functions only, not the control plane";
    gw_record_denied(c->gw, &c->owner->id, "control-plane", c->head->target, reason);
    gw_conn_text(c, 403, "%s", reason);
    return NULL;
}

static bool authorised(struct gw_conn *c)
{
    const char *given = pv_http_field(c->head, "authorization");
    if (gw_auth_ok(given, c->gw->token))
        return true;
    c->gw->metrics.auth_failures++;
    gw_record_denied(c->gw, NULL, "authentication", c->head->target,
                     given ? "wrong credentials" : "no credentials");
    gw_conn_text(c, 401,
                 "the control plane needs the admin token: Authorization: Bearer TOKEN, or "
                 "Basic with user admin");
    return false;
}

/* The methods of a path, for Allow (RFC 9110 section 15.5.6). */
static void refuse_method(struct gw_conn *c)
{
    static const char text[] = "this method is not offered here\n";
    char allow[64] = "";
    size_t n = 0;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++)
        if (path_matches(&routes[i], c->head->target) && n < sizeof allow)
            n += (size_t)snprintf(allow + n, sizeof allow - n, "%s%s%s", n ? ", " : "",
                                  routes[i].method,
                                  strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
    gw_reply_begin(c, 405);
    gw_reply_field(c, "Content-Type", "text/plain; charset=utf-8");
    gw_reply_field(c, "Allow", allow);
    gw_reply_finish(c, text, sizeof text - 1);
}

gw_handler *gw_api_route(struct gw_conn *c)
{
    const struct route *found = NULL;
    bool path_known = false;
    for (size_t i = 0; i < sizeof routes / sizeof routes[0] && !found; i++) {
        if (!path_matches(&routes[i], c->head->target))
            continue;
        path_known = true;
        if (method_matches(&routes[i], c->head->method))
            found = &routes[i];
    }
    if (c->owner && !(found = route_for_function(c, found) ? found : NULL))
        return NULL;
    bool system = strncmp(c->head->target, "/system/", 8) == 0;
    if (system && !authorised(c))
        return NULL;
    if (!found) {
        if (path_known)
            refuse_method(c);
        else
            gw_conn_text(c, 404, "no such page");
        return NULL;
    }
    c->rest = c->head->target + strlen(found->path);
    return found->handler;
}
