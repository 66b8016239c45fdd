/* provost list, describe, remove. */
#include "cli.h"
#include "http.h"
#include "pv/escape.h"
#include "pv/table.h"
#include "pv/units.h"
#include "simple_args.h"

#include <inttypes.h>
#include <string.h>

enum { OPT_SYSCALLS = 0x100 };

static json_int_t number(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *text(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

int cmd_list(struct cli *cli, int argc, char **argv)
{
    static const char *const titles[] = {"NAME", "VERSION", "PREPARED", "CALLS", "MODE", "PACKAGE"};
    struct cli_simple_args a = {.cli = cli};
    cli_autojson json_t *all = NULL;
    cli_parse_simple(&a, "", "Lists the functions.\vExample:\n  provost list --json\n", argc, argv);
    int rc = cli_admin(cli, "GET", "/system/functions", NULL, "list the functions", &all);
    if (rc != CLI_OK)
        return rc;
    if (cli->json)
        return cli_print_json(cli, json_incref(all));
    struct cli_table *t = cli_table_new(titles, sizeof titles / sizeof *titles);
    size_t i;
    json_t *f;
    json_array_foreach(all, i, f)
    {
        json_t *ext = json_object_get(f, "provost");
        cli_table_cell(t, text(f, "name"));
        cli_table_cellf(t, "%" JSON_INTEGER_FORMAT, number(ext, "version"));
        cli_table_cellf(t, "%" JSON_INTEGER_FORMAT, number(ext, "instances_prepared"));
        cli_table_cellf(t, "%.0f", json_number_value(json_object_get(f, "invocationCount")));
        cli_table_cell(t, text(ext, "mode"));
        cli_table_cell(t, text(f, "image"));
    }
    cli_table_print(t, stdout, cli->colour);
    cli_table_free(t);
    return cli_flush();
}

/* A key that ends in _bytes is shown as a size, a CPU share of 0 as what it means, everything else
 * as it stands. */
static void print_scalar(const char *key, const json_t *v)
{
    char shown[1024];
    size_t n = strlen(key);
    if (json_is_string(v))
        fputs(cli_escape_str(json_string_value(v), shown, sizeof shown), stdout);
    else if (json_is_integer(v) && n > 6 && strcmp(key + n - 6, "_bytes") == 0)
        fputs(cli_format_size((uint64_t)json_integer_value(v), shown, sizeof shown), stdout);
    else if (strcmp(key, "cpu_millis") == 0 && json_is_integer(v) && !json_integer_value(v))
        fputs("unlimited", stdout);
    else if (json_is_integer(v))
        printf("%" JSON_INTEGER_FORMAT, json_integer_value(v));
    else if (json_is_real(v))
        printf("%g", json_real_value(v));
    else if (json_is_boolean(v))
        fputs(json_is_true(v) ? "yes" : "no", stdout);
    else
        fputs("-", stdout);
}

/* Objects become indented blocks, arrays comma-separated lists; the JSON parser bounds the depth.
 */
static void print_object(const json_t *object, unsigned indent)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)object, key, v)
    {
        char shown[128];
        if (json_object_size(v) + json_array_size(v) == 0 &&
            (json_is_object(v) || json_is_array(v)))
            continue;
        printf("%*s%-*s", (int)indent, "", 22 - (int)(indent < 20 ? indent : 20),
               cli_escape_str(key, shown, sizeof shown));
        if (json_is_object(v)) {
            putchar('\n');
            print_object(v, indent + 2);
            continue;
        }
        size_t i;
        json_t *item;
        if (json_is_array(v)) {
            json_array_foreach(v, i, item)
            {
                fputs(i ? ", " : " ", stdout);
                print_scalar(key, item);
            }
        } else {
            putchar(' ');
            print_scalar(key, v);
        }
        putchar('\n');
    }
}

struct describe_args {
    struct cli_simple_args args;
    bool syscalls;
};

static error_t parse_describe(int key, char *arg, struct argp_state *state)
{
    struct describe_args *d = state->input;
    if (key != OPT_SYSCALLS)
        return cli_simple_key(&d->args, key, arg, state);
    d->syscalls = true;
    return 0;
}

static const struct argp_option describe_options[] = {
    {"syscalls", OPT_SYSCALLS, NULL, 0,
     "Only the system calls that a program in a micro-VM tried in vain before its first read", 1},
    {0},
};

static void print_line(const char *text)
{
    char shown[128];
    printf("%s\n", cli_escape_str(text ? text : "", shown, sizeof shown));
}

/* One a line. */
static int print_syscalls(const struct cli *cli, const json_t *f)
{
    const json_t *calls = json_object_get(json_object_get(f, "provost"), "unknown_calls");
    if (cli->json)
        return cli_print_json(cli, json_incref((json_t *)(uintptr_t)calls));
    for (size_t i = 0; i < json_array_size(calls); i++)
        print_line(json_string_value(json_array_get(calls, i)));
    return cli_flush();
}

int cmd_describe(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        describe_options,
        parse_describe,
        "NAME",
        "Shows what a function is (measurement, command), what it may do, how its instances are "
        "prepared and why, and what it has done.\vExample:\n  provost describe echo\n",
        children,
        NULL,
        NULL};
    struct describe_args d = {.args = {.cli = cli, .min = 1, .max = 1}};
    struct pv_err err = PV_ERR_INIT;
    char target[512];
    char what[160];
    cli_autojson json_t *f = NULL;
    cli_parse(&argp, argc, argv, &d);
    if (cli_target(target, sizeof target, "/system/function/", d.args.v[0], &err) < 0)
        return cli_report(&err);
    snprintf(what, sizeof what, "describe '%s'", d.args.v[0]);
    int rc = cli_admin(cli, "GET", target, NULL, what, &f);
    if (rc != CLI_OK)
        return rc;
    if (d.syscalls)
        return print_syscalls(cli, f);
    if (cli->json)
        return cli_print_json(cli, json_incref(f));
    print_object(f, 0);
    return cli_flush();
}

int cmd_remove(struct cli *cli, int argc, char **argv)
{
    struct cli_simple_args a = {.cli = cli, .min = 1, .max = 1};
    char what[160];
    char shown[160];
    cli_parse_simple(&a, "NAME",
                     "Removes a function. Requests being served are finished; its evidence stays."
                     "\vExample:\n  provost remove echo\n",
                     argc, argv);
    snprintf(what, sizeof what, "remove '%s'", a.v[0]);
    cli_autojson json_t *body = json_pack("{s:s}", "functionName", a.v[0]);
    if (!body)
        return cli_error(CLI_USAGE, "%s: the name is not valid UTF-8", what);
    int rc = cli_admin(cli, "DELETE", "/system/functions", body, what, NULL);
    if (rc != CLI_OK)
        return rc;
    if (cli->json)
        return cli_print_json(cli, json_pack("{s:s}", "removed", a.v[0]));
    printf("removed %s\n", cli_escape_str(a.v[0], shown, sizeof shown));
    return cli_flush();
}
