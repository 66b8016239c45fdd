/* provost secret create, list, remove. */
#include "cli.h"
#include "http.h"
#include "input.h"
#include "pv/buf.h"
#include "pv/escape.h"
#include "pv/own.h"
#include "pv/table.h"
#include "simple_args.h"

#include <string.h>

enum { OPT_FROM = 0x100, OPT_EMPTY };

struct create {
    struct cli_simple_args args;
    const char *from;
    bool allow_empty;
};

static const struct argp_option create_options[] = {
    {"from-file", OPT_FROM, "FILE", 0, "Read it from FILE, or from stdin with - (the default)", 1},
    {"allow-empty", OPT_EMPTY, NULL, 0, "An empty secret is meant", 1},
    {0},
};

static error_t parse_create(int key, char *arg, struct argp_state *state)
{
    struct create *c = state->input;
    switch (key) {
    case OPT_FROM:
        c->from = arg;
        return 0;
    case OPT_EMPTY:
        c->allow_empty = true;
        return 0;
    default:
        return cli_simple_key(&c->args, key, arg, state);
    }
}

static void wipe(struct pv_buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->cap);
    pv_buf_done(b);
}

static char *base64(const uint8_t *p, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    char *out = malloc(4 * ((len + 2) / 3) + 1);
    if (!out)
        return NULL;
    char *o = out;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t v = (uint32_t)p[i] << 16 | (n > 1 ? (uint32_t)p[i + 1] << 8 : 0) |
                     (n > 2 ? (uint32_t)p[i + 2] : 0);
        *o++ = digits[v >> 18 & 63];
        *o++ = digits[v >> 12 & 63];
        *o++ = n > 1 ? digits[v >> 6 & 63] : '=';
        *o++ = n > 2 ? digits[v & 63] : '=';
    }
    *o = '\0';
    return out;
}

/* OpenFaaS's Secret: "value" for text, "rawValue" (base64) for everything else. */
static json_t *secret_json(const char *name, const struct pv_buf *content)
{
    const char *p = content->data ? (const char *)content->data : "";
    json_t *o = json_pack("{s:s}", "name", name);
    json_t *value = memchr(p, 0, content->len) ? NULL : json_stringn(p, content->len);
    if (o && value) {
        (void)json_object_set_new(o, "value", value);
        return o;
    }
    pv_autofree char *encoded = base64((const uint8_t *)p, content->len);
    if (o)
        (void)json_object_set_new(o, "rawValue", json_string(encoded));
    return o;
}

static void show_created(const char *name, const json_t *done)
{
    char shown[160];
    const json_t *f;
    size_t i;
    bool replaced = json_is_true(json_object_get(done, "replaced"));
    printf("%s secret %s\n", replaced ? "replaced" : "created",
           cli_escape_str(name, shown, sizeof shown));
    json_array_foreach(json_object_get(done, "deployed"), i, f)
    {
        const char *function, *mode, *before;
        json_int_t version;
        if (json_unpack((json_t *)(uintptr_t)f, "{s:s, s:I, s:s, s:s}", "name", &function,
                        "version", &version, "mode", &mode, "mode_before", &before) < 0)
            continue;
        printf("deployed %s version %lld (%s), which uses it\n",
               cli_escape_str(function, shown, sizeof shown), (long long)version, mode);
        if (strcmp(mode, before) != 0)
            fprintf(stderr,
                    "provost: %s was prepared by %s before and is by %s now: see 'provost "
                    "describe'\n",
                    shown, before, mode);
    }
}

static int secret_create(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        create_options,
        parse_create,
        "NAME",
        "Creates a secret, or replaces its content. It is read byte for byte: a newline at the end "
        "belongs to it. A function sees it only when it was deployed with --secret NAME; one that "
        "was is deployed again when the content is replaced."
        "\vExamples:\n  printf %s \"$KEY\" | provost secret create api-key\n"
        "  provost secret create tls-key --from-file key.pem\n",
        children,
        NULL,
        NULL};
    struct create c = {.args = {.cli = cli, .min = 1, .max = 1}, .from = "-"};
    struct pv_err err = PV_ERR_INIT;
    __attribute__((cleanup(wipe))) struct pv_buf content;
    char what[160];
    cli_parse(&argp, argc, argv, &c);
    pv_buf_init(&content, PV_SECRET_MAX);
    const char *name = c.args.v[0];
    if (strcmp(c.from, "-") == 0 && isatty(STDIN_FILENO))
        fputs("provost: type the secret, then end with Ctrl-D\n", stderr);
    if (cli_read_input(c.from, &content, &err) < 0)
        return cli_report(&err);
    snprintf(what, sizeof what, "create secret '%s'", name);
    if (content.len == 0 && !c.allow_empty)
        return cli_error(CLI_USAGE, "%s: %s is empty; say --allow-empty if that is meant", what,
                         strcmp(c.from, "-") == 0 ? "stdin" : c.from);
    cli_autojson json_t *body = secret_json(name, &content);
    if (!body)
        return cli_error(CLI_USAGE, "%s: the name is not valid UTF-8", what);
    cli_autojson json_t *done = NULL;
    /* each function that uses it is deployed again before the answer comes */
    int rc = cli_admin_patient(cli, "POST", "/system/secrets", body, what, &done);
    if (rc != CLI_OK)
        return rc;
    if (cli->json) {
        if (!json_is_true(json_object_get(done, "replaced")))
            (void)json_object_set_new(done, "created", json_string(name));
        return cli_print_json(cli, json_incref(done));
    }
    show_created(name, done);
    return cli_flush();
}

static int secret_list(struct cli *cli, int argc, char **argv)
{
    static const char *const titles[] = {"NAME"};
    struct cli_simple_args a = {.cli = cli};
    cli_autojson json_t *all = NULL;
    cli_parse_simple(&a, "", "Lists the names of the secrets; never their content.", argc, argv);
    int rc = cli_admin(cli, "GET", "/system/secrets", NULL, "list the secrets", &all);
    if (rc != CLI_OK)
        return rc;
    if (cli->json)
        return cli_print_json(cli, json_incref(all));
    struct cli_table *t = cli_table_new(titles, 1);
    size_t i;
    json_t *s;
    json_array_foreach(all, i, s)
    {
        cli_table_cell(t, json_string_value(json_object_get(s, "name")));
    }
    cli_table_print(t, stdout, cli->colour);
    cli_table_free(t);
    return cli_flush();
}

static int secret_remove(struct cli *cli, int argc, char **argv)
{
    struct cli_simple_args a = {.cli = cli, .min = 1, .max = 1};
    char what[160];
    char shown[160];
    cli_parse_simple(&a, "NAME", "Removes a secret.\vExample:\n  provost secret remove api-key\n",
                     argc, argv);
    snprintf(what, sizeof what, "remove secret '%s'", a.v[0]);
    cli_autojson json_t *body = json_pack("{s:s}", "name", a.v[0]);
    if (!body)
        return cli_error(CLI_USAGE, "%s: the name is not valid UTF-8", what);
    int rc = cli_admin(cli, "DELETE", "/system/secrets", body, what, NULL);
    if (rc != CLI_OK)
        return rc;
    if (cli->json)
        return cli_print_json(cli, json_pack("{s:s}", "removed", a.v[0]));
    printf("removed secret %s\n", cli_escape_str(a.v[0], shown, sizeof shown));
    return cli_flush();
}

int cmd_secret(struct cli *cli, int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"create", "create a secret or replace its content", secret_create},
        {"list", "list the names", secret_list},
        {"remove", "remove a secret", secret_remove},
    };
    return cli_dispatch(cli, argv[0], commands, sizeof commands / sizeof *commands, argc, argv);
}
