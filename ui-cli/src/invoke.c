/* provost invoke: the body to stdout, everything about the call to stderr. */
#include "cli.h"
#include "http.h"
#include "input.h"
#include "pv/clock.h"
#include "pv/escape.h"
#include "pv/id.h"
#include "pv/own.h"

#include <ctype.h>
#include <string.h>

enum { HEADERS_MAX = PV_HTTP_HEADERS_MAX, OPT_METHOD = 0x100, OPT_PATH };

struct invoke {
    struct cli *cli;
    const char *name;
    const char *data;
    const char *method;
    const char *path;
    bool include;
    const char *headers[HEADERS_MAX];
    unsigned n_headers;
};

static const struct argp_option options[] = {
    {"data", 'd', "DATA", 0, "Request body: DATA, @FILE, or - for stdin", 1},
    {"header", 'H', "'K: V'", 0, "Request header", 1},
    {"method", OPT_METHOD, "M", 0, "HTTP method (POST)", 1},
    {"path", OPT_PATH, "/p?q", 0, "Path and query after the function's name", 1},
    {"include", 'i', NULL, 0, "Print the response's status line and headers too", 1},
    {0},
};

static const char doc[] =
    "Calls a function. Its answer goes to stdout; the call id, by which 'provost audit' knows the "
    "call, goes to stderr. Exits with 1 when the function failed."
    "\vExamples:\n"
    "  provost invoke echo -d hello\n"
    "  provost invoke thumb -d @cat.png -H 'Content-Type: image/png' > thumb.png\n"
    "  provost invoke shop --method GET --path '/items?page=2' -i\n";

static void add_header(struct argp_state *state, struct invoke *v, const char *arg)
{
    if (!strchr(arg, ':') || arg[0] == ':')
        argp_error(state, "header '%s' is not of the form 'K: V'", arg);
    for (const char *p = arg; *p; p++)
        if (iscntrl((unsigned char)*p) && *p != '\t')
            argp_error(state, "a header must not hold control characters");
    if (strncasecmp(arg, "content-length:", 15) == 0 ||
        strncasecmp(arg, "transfer-encoding:", 18) == 0)
        argp_error(state, "the length of the body is what -d gives: leave out '%s'", arg);
    if (v->n_headers == HEADERS_MAX)
        argp_error(state, "more than %d headers", HEADERS_MAX);
    v->headers[v->n_headers++] = arg;
}

static void check_path(struct argp_state *state, const char *arg)
{
    if (*arg != '/' && *arg != '?')
        argp_error(state, "--path begins with / or ?");
    for (const char *p = arg; *p; p++)
        if (!isgraph((unsigned char)*p))
            argp_error(state, "--path must be percent-encoded");
}

static void check_method(struct argp_state *state, const char *arg)
{
    for (const char *p = arg; *p; p++)
        if (!isupper((unsigned char)*p))
            argp_error(state, "--method is a word in capitals, for example GET");
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct invoke *v = state->input;
    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = v->cli;
        return 0;
    case 'd':
        v->data = arg;
        return 0;
    case 'H':
        add_header(state, v, arg);
        return 0;
    case 'i':
        v->include = true;
        return 0;
    case OPT_METHOD:
        check_method(state, arg);
        v->method = arg;
        return 0;
    case OPT_PATH:
        check_path(state, arg);
        v->path = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (state->arg_num > 0)
            argp_error(state, "'%s' is one argument too many; the body goes after -d", arg);
        v->name = arg;
        return 0;
    case ARGP_KEY_END:
        if (!v->name)
            argp_error(state, "NAME is missing");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Header lines as an object; a name that comes twice is joined with a comma (RFC 9110, 5.3). */
static json_t *headers_json(const struct pv_buf *head)
{
    json_t *object = json_object();
    pv_autofree char *copy = strndup(head->data ? (const char *)head->data : "", head->len);
    char *save = NULL;
    for (char *line = copy ? strtok_r(copy, "\r\n", &save) : NULL; line;
         line = strtok_r(NULL, "\r\n", &save)) {
        char *colon = strchr(line, ':');
        if (!colon)
            continue;
        *colon = '\0';
        const char *value = colon + 1 + strspn(colon + 1, " \t");
        for (char *p = line; *p; p++)
            *p = (char)tolower((unsigned char)*p);
        const char *before = json_string_value(json_object_get(object, line));
        json_t *v = before ? json_sprintf("%s, %s", before, value) : json_string(value);
        (void)json_object_set_new(object, line, v);
    }
    return object;
}

static int print_answer_json(const struct cli *cli, const struct cli_response *r)
{
    const char *body = r->body.data ? (const char *)r->body.data : "";
    json_t *o = json_pack("{s:s, s:i, s:f, s:o}", "call_id", r->call_id, "status", (int)r->status,
                          "duration_ms", (double)r->duration_ns / (double)PV_NS_PER_MS, "headers",
                          headers_json(&r->head));
    json_t *text = json_stringn(body, r->body.len);
    if (o && text) {
        (void)json_object_set_new(o, "body", text);
    } else if (o) {
        pv_autofree char *hex = malloc(2 * r->body.len + 1);
        if (hex)
            pv_hex(body, r->body.len, hex);
        (void)json_object_set_new(o, "body_hex", json_string(hex));
    }
    return cli_print_json(cli, o);
}

static int print_answer(const struct cli *cli, const struct cli_response *r, bool include)
{
    const struct pv_buf *parts[] = {&r->head, &r->body};
    for (size_t i = include ? 0 : 1; i < 2; i++) {
        if (cli->stdout_tty)
            cli_escape_write(stdout, parts[i]->data, parts[i]->len, CLI_ESCAPE_TEXT);
        else if (parts[i]->len > 0)
            (void)fwrite(parts[i]->data, 1, parts[i]->len, stdout);
    }
    if (cli->stdout_tty && r->body.len > 0 && r->body.data[r->body.len - 1] != '\n')
        putchar('\n');
    return cli_flush();
}

/* The exit code that says how the call went; the reason stands on stderr. */
static int judge(const struct cli *cli, const struct cli_response *r, const char *name)
{
    char what[160];
    if (r->status < 400)
        return CLI_OK;
    snprintf(what, sizeof what, "invoke '%s'", name);
    if (!*r->call_id)
        return cli_http_problem(cli, r, what); /* the gateway answered, no call was made */
    if (r->status == 429 || r->status == 503)
        return cli_error(CLI_BUSY, "%s: the platform is busy (status %ld); try again", what,
                         r->status);
    return cli_error(CLI_FAILED, "%s failed with status %ld; see 'provost audit timeline %s'", what,
                     r->status, r->call_id);
}

int cmd_invoke(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {options, parse, "NAME", doc, children, NULL, NULL};
    struct invoke v = {.cli = cli, .method = "POST", .path = ""};
    struct pv_err err = PV_ERR_INIT;
    pv_autobuf struct pv_buf body;
    pv_autobuf struct pv_buf target;
    char base[512];

    cli_parse(&argp, argc, argv, &v);
    pv_buf_init(&body, PV_HTTP_BODY_MAX);
    pv_buf_init(&target, PV_HTTP_TARGET_MAX);
    if (cli_target(base, sizeof base, "/function/", v.name, &err) < 0)
        return cli_report(&err);
    pv_buf_printf(&target, "%s%s", base, v.path);
    pv_buf_u8(&target, 0);
    if (target.failed)
        return cli_error(CLI_USAGE,
                         "--path is too long: with the function's name at most %d bytes are taken",
                         PV_HTTP_TARGET_MAX - 1);
    if (v.data && cli_read_data(v.data, &body, &err) < 0)
        return cli_report(&err);

    struct cli_request req = {
        .method = v.method,
        .target = (const char *)target.data,
        .body = v.data ? (body.data ? body.data : (const void *)"") : NULL,
        .body_len = body.len,
        .headers = v.headers,
        .n_headers = v.n_headers,
    };
    cli_autoresponse struct cli_response r;
    int asked = cli_http(cli, &req, &r, &err);
    if (*r.call_id) /* known as soon as the head of an answer is there */
        fprintf(stderr, "call-id: %s\n", r.call_id);
    if (asked < 0)
        return cli_report(&err);
    /* an answer of the gateway itself is an error message, and judge prints it */
    int rc = CLI_OK;
    if (cli->json)
        rc = print_answer_json(cli, &r);
    else if (*r.call_id || r.status < 400 || v.include)
        rc = print_answer(cli, &r, v.include);
    int verdict = judge(cli, &r, v.name);
    return verdict != CLI_OK ? verdict : rc;
}
