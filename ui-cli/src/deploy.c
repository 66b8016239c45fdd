/* provost deploy: OpenFaaS's FunctionDeployment plus the "provost" extension. */
#include "cli.h"
#include "http.h"
#include "pv/clock.h"
#include "pv/escape.h"
#include "pv/own.h"
#include "pv/units.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OPT_ENV = 'e',
    OPT_SECRET = 's',
    OPT_CALL = 0x100,
    OPT_EGRESS,
    OPT_MEMORY,
    OPT_TMP,
    OPT_TIMEOUT,
    OPT_OUTPUT,
    OPT_PROCESSES,
    OPT_CPU,
    OPT_CONCURRENCY,
    OPT_PREPARED,
    OPT_PREPARE,
    OPT_CGI,
    OPT_ROOT,
    OPT_AUDIT,
    OPT_LOSS,
    OPT_CLASS,
    OPT_FINISH,
    OPT_LABEL,
};

/* What the platform takes; it may not even read a larger number. */
static const uint64_t memory_min_bytes = 1ull << 20, memory_max_bytes = 1ull << 40;

struct deploy {
    struct cli *cli;
    const char *name;
    const char *path;
    const char *root;
    json_t *env;
    json_t *labels;
    json_t *secrets;
    json_t *limits;
    json_t *ext; /* the "provost" object */
    json_t *calls;
    json_t *egress;
    json_t *argv;
};

static const struct argp_option options[] = {
    {NULL, 0, NULL, 0, "What it gets:", 1},
    {"env", OPT_ENV, "K=V", 0, "Environment variable", 1},
    {"secret", OPT_SECRET, "NAME", 0, "Mount a secret at /var/openfaas/secrets/NAME", 1},
    {"root", OPT_ROOT, "DIR", 0, "Root directory instead of the host's runtime directories", 1},
    {"label", OPT_LABEL, "K=V", 0, "Label", 1},
    {NULL, 0, NULL, 0, "What it may reach (nothing unless said here):", 2},
    {"allow-call", OPT_CALL, "FUNCTION", 0, "May call that function", 2},
    {"allow-egress", OPT_EGRESS, "HOST:PORT", 0, "May connect there through its http_proxy", 2},
    {NULL, 0, NULL, 0, "Limits of one instance:", 3},
    {"memory", OPT_MEMORY, "SIZE", 0, "Memory, for example 64M", 3},
    {"tmp", OPT_TMP, "SIZE", 0, "Size of its private /tmp", 3},
    {"output-limit", OPT_OUTPUT, "SIZE", 0, "Largest response", 3},
    {"timeout", OPT_TIMEOUT, "TIME", 0, "Wall-clock deadline of a request, for example 10s", 3},
    {"processes", OPT_PROCESSES, "N", 0, "Processes and threads", 3},
    {"cpu", OPT_CPU, "SHARE", 0, "CPUs, for example 0.5", 3},
    {NULL, 0, NULL, 0, "How it runs:", 4},
    {"concurrency", OPT_CONCURRENCY, "N", 0, "Requests at once", 4},
    {"prepared", OPT_PREPARED, "N", 0, "Instances kept waiting", 4},
    {"prepare", OPT_PREPARE, "MODE", 0,
     "auto, zygote (forked from a process that stands at its first read of stdin), first-read "
     "(started, waits there) or exec (started per request)",
     4},
    {"class", OPT_CLASS, "CLASS", 0,
     "auto (microvm where the machine and the program allow it), microvm or process", 4},
    {"finish", OPT_FINISH, "WHEN", 0,
     "In a microvm the response is complete at exit, or already when the output ends in a newline, "
     "or at the length its Content-Length says",
     4},
    {"cgi", OPT_CGI, NULL, 0, "Its output begins with a CGI header block", 4},
    {"audit", OPT_AUDIT, "MODE", 0,
     "bounded (evidence is signed within 15 ms) or sync (the response waits for the signature)", 4},
    {"loss", OPT_LOSS, "POLICY", 0,
     "When it does more than the outside witness can take in: freeze (it waits, nothing is lost) "
     "or "
     "drop (it runs on, what is lost is counted)",
     4},
    {0},
};

static const char doc[] =
    "Deploys a program (a file or a directory) as the function NAME. If NAME exists, this becomes "
    "its new version. Without ARG, a file is executed itself, and in a directory the executable "
    "named 'handler'; ARG is the whole command line, seen from inside, where the package is at "
    "/function."
    "\vExamples:\n"
    "  provost deploy echo ./echo\n"
    "  provost deploy thumb ./thumb --memory 256M --timeout 30s --allow-call store\n"
    "  provost deploy hook ./hook --secret api-key --allow-egress 192.0.2.7:443 \\\n"
    "      -- /usr/bin/python3 /function/hook.py\n";

/* Splits "K=V" into a member of object. */
static void put_pair(struct argp_state *state, json_t *object, const char *arg, const char *what)
{
    const char *eq = strchr(arg, '=');
    if (!eq || eq == arg)
        argp_error(state, "%s '%s' is not of the form K=V", what, arg);
    char key[256];
    size_t n = (size_t)(eq - arg);
    if (n >= sizeof key)
        argp_error(state, "%s: the key is too long", what);
    memcpy(key, arg, n);
    key[n] = '\0';
    if (json_object_set_new(object, key, json_string(eq + 1)) != 0)
        argp_error(state, "%s '%s' is not valid UTF-8", what, key);
}

static void put_string(struct argp_state *state, json_t *array, const char *arg)
{
    if (json_array_append_new(array, json_string(arg)) != 0)
        argp_error(state, "'%s' is not valid UTF-8", arg);
}

static void put_number(struct deploy *d, const char *key, uint64_t v)
{
    (void)json_object_set_new(d->ext, key, json_integer((json_int_t)v));
}

static void put_size(struct argp_state *state, struct deploy *d, const char *key, const char *arg)
{
    struct pv_err err = PV_ERR_INIT;
    uint64_t v = 0;
    if (cli_parse_size(arg, &v, &err) < 0)
        argp_error(state, "%s", err.text);
    put_number(d, key, v);
}

static void put_count(struct argp_state *state, struct deploy *d, const char *key, const char *arg)
{
    struct pv_err err = PV_ERR_INIT;
    uint64_t v = 0;
    /* whether the number makes sense is the platform's to say, which knows the range */
    if (cli_parse_count(arg, UINT32_MAX, &v, &err) < 0)
        argp_error(state, "%s: %s", key, err.text);
    put_number(d, key, v);
}

static void put_choice(struct argp_state *state, struct deploy *d, const char *key, const char *arg,
                       const char *const *allowed)
{
    char all[128];
    size_t len = 0;
    for (size_t i = 0; allowed[i]; i++) {
        if (strcmp(arg, allowed[i]) == 0) {
            (void)json_object_set_new(d->ext, key, json_string(arg));
            return;
        }
        len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", i ? ", " : "", allowed[i]);
    }
    argp_error(state, "--%s does not know '%s', but %s", key, arg, all);
}

static void put_timeout(struct argp_state *state, struct deploy *d, const char *arg)
{
    struct pv_err err = PV_ERR_INIT;
    uint64_t ms = 0;
    if (cli_parse_duration(arg, &ms, &err) < 0)
        argp_error(state, "%s", err.text);
    put_number(d, "timeout_ms", ms);
}

static void put_memory(struct argp_state *state, struct deploy *d, const char *arg)
{
    struct pv_err err = PV_ERR_INIT;
    uint64_t v = 0;
    char text[32];
    if (cli_parse_size(arg, &v, &err) < 0)
        argp_error(state, "%s", err.text);
    if (v < memory_min_bytes || v > memory_max_bytes)
        argp_error(state, "--memory %s: must be between 1M and 1T", arg);
    snprintf(text, sizeof text, "%" PRIu64, v);
    (void)json_object_set_new(d->limits, "memory", json_string(text));
}

static void put_cpu(struct argp_state *state, struct deploy *d, const char *arg)
{
    struct pv_err err = PV_ERR_INIT;
    uint32_t millis = 0;
    char text[32];
    if (cli_parse_cpu(arg, &millis, &err) < 0)
        argp_error(state, "%s", err.text);
    snprintf(text, sizeof text, "%" PRIu32 "m", millis);
    (void)json_object_set_new(d->limits, "cpu", json_string(text));
}

static void take_argument(struct argp_state *state, struct deploy *d, char *arg)
{
    if (state->arg_num == 0)
        d->name = arg;
    else if (state->arg_num == 1)
        d->path = arg;
    else if (state->quoted == 0)
        argp_error(state, "'%s': put -- before the function's own command line", arg);
    else
        put_string(state, d->argv, arg);
}

static error_t parse_limits(int key, char *arg, struct argp_state *state, struct deploy *d)
{
    switch (key) {
    case OPT_MEMORY:
        put_memory(state, d, arg);
        return 0;
    case OPT_CPU:
        put_cpu(state, d, arg);
        return 0;
    case OPT_TMP:
        put_size(state, d, "tmp_bytes", arg);
        return 0;
    case OPT_OUTPUT:
        put_size(state, d, "output_bytes", arg);
        return 0;
    case OPT_TIMEOUT:
        put_timeout(state, d, arg);
        return 0;
    case OPT_PROCESSES:
        put_count(state, d, "processes", arg);
        return 0;
    case OPT_CONCURRENCY:
        put_count(state, d, "concurrency", arg);
        return 0;
    case OPT_PREPARED:
        put_count(state, d, "prepared", arg);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    static const char *const prepare_modes[] = {"auto", "zygote", "first-read", "exec", NULL};
    static const char *const audit_modes[] = {"bounded", "sync", NULL};
    static const char *const loss_policies[] = {"freeze", "drop", NULL};
    static const char *const classes[] = {"auto", "microvm", "process", NULL};
    static const char *const finishes[] = {"exit", "newline", "length", NULL};
    struct deploy *d = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = d->cli;
        return 0;
    case OPT_ENV:
        put_pair(state, d->env, arg, "--env");
        return 0;
    case OPT_LABEL:
        put_pair(state, d->labels, arg, "--label");
        return 0;
    case OPT_SECRET:
        put_string(state, d->secrets, arg);
        return 0;
    case OPT_CALL:
        put_string(state, d->calls, arg);
        return 0;
    case OPT_EGRESS:
        put_string(state, d->egress, arg);
        return 0;
    case OPT_PREPARE:
        put_choice(state, d, "prepare", arg, prepare_modes);
        return 0;
    case OPT_AUDIT:
        put_choice(state, d, "audit", arg, audit_modes);
        return 0;
    case OPT_CLASS:
        put_choice(state, d, "class", arg, classes);
        return 0;
    case OPT_FINISH:
        put_choice(state, d, "finish", arg, finishes);
        return 0;
    case OPT_LOSS:
        put_choice(state, d, "loss", arg, loss_policies);
        return 0;
    case OPT_CGI:
        (void)json_object_set_new(d->ext, "cgi", json_true());
        return 0;
    case OPT_ROOT:
        d->root = arg;
        return 0;
    case ARGP_KEY_ARG:
        take_argument(state, d, arg);
        return 0;
    case ARGP_KEY_END:
        if (state->arg_num < 2)
            argp_error(state, "NAME and PATH are needed");
        if (!*d->name)
            argp_error(state, "NAME is empty");
        return 0;
    default:
        return parse_limits(key, arg, state, d);
    }
}

/* Moves *member into object unless it is empty. */
static void put_member(json_t *object, const char *key, json_t **member)
{
    if (json_object_size(*member) + json_array_size(*member) > 0)
        (void)json_object_set_new(object, key, *member);
    else
        json_decref(*member);
    *member = NULL;
}

static json_t *build_request(struct deploy *d, const char *path)
{
    json_t *req = json_pack("{s:s, s:s}", "service", d->name, "image", path);
    put_member(d->ext, "argv", &d->argv);
    put_member(d->ext, "calls", &d->calls);
    put_member(d->ext, "egress", &d->egress);
    if (req) {
        put_member(req, "envVars", &d->env);
        put_member(req, "labels", &d->labels);
        put_member(req, "secrets", &d->secrets);
        put_member(req, "limits", &d->limits);
        put_member(req, "provost", &d->ext);
    }
    return req;
}

static void deploy_done(struct deploy *d)
{
    json_t *const all[] = {d->env, d->labels, d->secrets, d->limits,
                           d->ext, d->calls,  d->egress,  d->argv};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        json_decref(all[i]);
}

static bool is_deployed(const json_t *functions, const char *name)
{
    size_t i;
    json_t *f;
    json_array_foreach((json_t *)(uintptr_t)functions, i, f)
    {
        const char *s = json_string_value(json_object_get(f, "name"));
        if (s && strcmp(s, name) == 0)
            return true;
    }
    return false;
}

/* Functions may be deployed in any order, so a grant to call one that is not there is no error; but
 * it may be a slip of the pen. */
static void warn_of_calls(const struct cli *cli, const char *name, const json_t *calls)
{
    cli_autojson json_t *functions = NULL;
    char shown[160];
    char shown_callee[160];
    size_t i;
    json_t *callee;
    if (json_array_size(calls) == 0 || cli_admin(cli, "GET", "/system/functions", NULL,
                                                 "list the functions", &functions) != CLI_OK)
        return;
    json_array_foreach((json_t *)(uintptr_t)calls, i, callee)
    {
        const char *s = json_string_value(callee);
        if (s && !is_deployed(functions, s))
            fprintf(stderr, "provost: %s may call '%s', but there is no such function yet\n",
                    cli_escape_str(name, shown, sizeof shown),
                    cli_escape_str(s, shown_callee, sizeof shown_callee));
    }
}

/* What the class that the function got cannot do for it. */
static void warn_of_class(const char *name, const json_t *ext)
{
    const char *mode = json_string_value(json_object_get(ext, "mode"));
    const char *finish = json_string_value(json_object_get(ext, "finish"));
    const char *prepare = json_string_value(json_object_get(ext, "prepare"));
    const char *reason = json_string_value(json_object_get(ext, "reason"));
    const char *loss = reason ? strstr(reason, "the variables of a request do not") : NULL;
    if (reason && !loss)
        loss = strstr(reason, "it tried to start another program before");
    char shown[160];
    char shown_loss[256];
    if (!mode || !*mode || !finish || !prepare)
        return;
    bool microvm = strcmp(mode, "microvm") == 0;
    cli_escape_str(name, shown, sizeof shown);
    if (loss && microvm)
        fprintf(stderr, "provost: %s: %s; --class auto would run it as a process\n", shown,
                cli_escape_str(loss, shown_loss, sizeof shown_loss));
    if (!microvm && strcmp(finish, "exit") != 0)
        fprintf(stderr,
                "provost: %s runs as a process, where its response is complete at exit: --finish "
                "%s has no effect\n",
                shown, finish);
    if (microvm && strcmp(prepare, "auto") != 0)
        fprintf(stderr,
                "provost: %s runs in micro-VMs, which are prepared by a snapshot: --prepare has no "
                "effect\n",
                shown);
}

/* What the platform now says about the function. */
static int show_result(const struct cli *cli, const char *name, const char *what,
                       uint64_t duration_ns)
{
    char target[512];
    struct pv_err err = PV_ERR_INIT;
    cli_autojson json_t *f = NULL;
    if (cli_target(target, sizeof target, "/system/function/", name, &err) < 0)
        return cli_report(&err);
    int rc = cli_admin(cli, "GET", target, NULL, what, &f);
    json_t *ext = json_object_get(f, "provost");
    if (rc != CLI_OK)
        return rc;
    warn_of_calls(cli, name, json_object_get(ext, "calls"));
    warn_of_class(name, ext);
    if (cli->json)
        return cli_print_json(cli, json_incref(f));
    const char *mode = json_string_value(json_object_get(ext, "mode"));
    json_int_t version = json_integer_value(json_object_get(ext, "version"));
    char shown[160];
    char shown_mode[64];
    printf("deployed %s version %" JSON_INTEGER_FORMAT " (%s) in %.1f ms\n",
           cli_escape_str(name, shown, sizeof shown), version,
           cli_escape_str(mode ? mode : "starting", shown_mode, sizeof shown_mode),
           (double)duration_ns / (double)PV_NS_PER_MS);
    return cli_flush();
}

/* The daemon may stand in another directory: it is given absolute paths. */
static int absolute(const char *what, const char *path, char **ret, struct pv_err *err)
{
    *ret = realpath(path, NULL);
    return *ret ? 0 : pv_fail(err, errno, "%s '%s'", what, path);
}

int cmd_deploy(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {options, parse, "NAME PATH [-- ARG...]", doc, children,
                                     NULL,    NULL};
    __attribute__((cleanup(deploy_done))) struct deploy d = {
        .cli = cli,
        .env = json_object(),
        .labels = json_object(),
        .secrets = json_array(),
        .limits = json_object(),
        .ext = json_object(),
        .calls = json_array(),
        .egress = json_array(),
        .argv = json_array(),
    };
    char what[160];
    cli_parse(&argp, argc, argv, &d);
    pv_autofree char *path = NULL;
    pv_autofree char *root = NULL;
    struct pv_err err = PV_ERR_INIT;
    if (absolute("package", d.path, &path, &err) < 0 ||
        (d.root && absolute("--root", d.root, &root, &err) < 0))
        return cli_report(&err);
    if (root)
        (void)json_object_set_new(d.ext, "root", json_string(root));
    snprintf(what, sizeof what, "deploy '%s'", d.name);
    cli_autojson json_t *req = build_request(&d, path);
    if (!req)
        return cli_error(CLI_USAGE, "%s: name or path is not valid UTF-8", what);
    uint64_t start = pv_now_mono_ns();
    int rc = cli_admin(cli, "POST", "/system/functions", req, what, NULL);
    if (rc != CLI_OK)
        return rc;
    return show_result(cli, d.name, what, pv_now_mono_ns() - start);
}
