/* provost logs: what a function wrote to stderr (NDJSON from the gateway, OpenFaaS's message). */
#include "cli.h"
#include "http.h"
#include "pv/clock.h"
#include "pv/escape.h"
#include "pv/own.h"
#include "pv/units.h"
#include "simple_args.h"

#include <inttypes.h>
#include <string.h>
#include <time.h>

enum {
    OPT_TAIL = 0x100,
    OPT_FOLLOW,
    OPT_SINCE,
    LINE_MAX_BYTES = 256 << 10,
    FOLLOW_LINES = 10000,
    FOLLOW_PAUSE_MS = 300,
    TIMEOUT_MS = 60000,
    TAIL_MAX = 10000, /* as the gateway has it */
};

struct logs {
    struct cli_simple_args args;
    uint64_t tail;
    uint64_t since_ns;
    bool follow;
    struct pv_buf line; /* what has arrived of the present line */
    bool raw;           /* --json: pass the lines on */
    char last[48];      /* timestamp of the last line shown */
    unsigned same;      /* lines shown that bear it */
    unsigned skip;      /* of them, still to come again in this answer */
    bool any;           /* something has arrived at all */
};

static const struct argp_option options[] = {
    {"tail", OPT_TAIL, "N", 0, "Only the last N lines (100) of the last MiB; 10000 at most", 1},
    {"since", OPT_SINCE, "WHEN", 0, "Only since then: 10m (ago), or a time in UTC", 1},
    {"follow", OPT_FOLLOW, NULL, 0, "Go on with what comes, until interrupted", 1},
    {0},
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct logs *l = state->input;
    struct pv_err err = PV_ERR_INIT;
    switch (key) {
    case OPT_TAIL:
        if (cli_parse_count(arg, TAIL_MAX, &l->tail, &err) < 0 || l->tail == 0)
            argp_error(state, "--tail: '%s' is no number of lines from 1 to %d", arg, TAIL_MAX);
        return 0;
    case OPT_SINCE:
        if (cli_parse_moment(arg, pv_now_real_ns(), &l->since_ns, &err) < 0)
            argp_error(state, "--since: %s", err.text);
        return 0;
    case OPT_FOLLOW:
        l->follow = true;
        return 0;
    default:
        return cli_simple_key(&l->args, key, arg, state);
    }
}

/* An answer begins at the timestamp of the last line shown: those that bear it come again. */
static bool seen(struct logs *l, const char *stamp)
{
    if (!stamp)
        return false;
    if (strcmp(stamp, l->last) != 0) {
        snprintf(l->last, sizeof l->last, "%s", stamp);
        l->same = 0;
        l->skip = 0;
    }
    if (l->skip > 0) {
        l->skip--;
        return true;
    }
    l->same++;
    return false;
}

static void print_line(struct logs *l)
{
    const char *p = (const char *)l->line.data;
    if (l->line.len == 0)
        return;
    l->any = true;
    cli_autojson json_t *v = json_loadb(p, l->line.len, 0, NULL);
    const char *text = json_string_value(json_object_get(v, "text"));
    const char *stamp = json_string_value(json_object_get(v, "timestamp"));
    const char *instance = json_string_value(json_object_get(v, "instance"));
    char shown[96];
    if (seen(l, stamp))
        return;
    if (l->raw) {
        /* one object a line; re-encoded, so that it is JSON whatever arrived */
        if (v && json_dumpf(v, stdout, JSON_COMPACT | JSON_ENSURE_ASCII) == 0)
            putchar('\n');
        return;
    }
    if (!text) {
        cli_escape_write(stdout, p, l->line.len, CLI_ESCAPE_TEXT);
        putchar('\n');
        return;
    }
    if (stamp)
        printf("%s ", cli_escape_str(stamp, shown, sizeof shown));
    if (instance && *instance)
        printf("%s ", cli_escape_str(instance, shown, sizeof shown));
    size_t len = strlen(text);
    while (len > 0 && text[len - 1] == '\n')
        len--;
    cli_escape_write(stdout, text, len, CLI_ESCAPE_TEXT);
    putchar('\n');
}

static bool on_body(void *arg, const void *p, size_t len)
{
    struct logs *l = arg;
    const char *bytes = p;
    for (size_t i = 0; i < len; i++) {
        if (bytes[i] != '\n') {
            pv_buf_u8(&l->line, (uint8_t)bytes[i]);
            continue;
        }
        if (!l->line.failed)
            print_line(l);
        pv_buf_reset(&l->line);
    }
    return fflush(stdout) == 0;
}

/* since: a timestamp as the gateway writes it, or "". */
static int build_target(const struct logs *l, const char *since, uint64_t tail, char *out,
                        size_t cap, struct pv_err *err)
{
    PV_TRY(cli_target(out, cap, "/system/logs?name=", l->args.v[0], err));
    size_t n = strlen(out);
    if (tail)
        n += (size_t)snprintf(out + n, cap - n, "&tail=%" PRIu64, tail);
    if (*since && n < cap)
        n += (size_t)snprintf(out + n, cap - n, "&since=%s", since);
    return n < cap ? 0 : pv_refuse(err, EINVAL, "the name is too long");
}

/* Asks once and prints what is new; returns an exit code. */
static int show(const struct cli *cli, struct logs *l, const char *since, uint64_t tail)
{
    struct pv_err err = PV_ERR_INIT;
    char target[640];
    char what[160];
    if (build_target(l, since, tail, target, sizeof target, &err) < 0)
        return cli_report(&err);
    struct cli_request req = {
        .method = "GET",
        .target = target,
        .admin = true,
        .timeout_ms = TIMEOUT_MS,
        .on_body = on_body,
        .arg = l,
    };
    cli_autoresponse struct cli_response r;
    pv_buf_reset(&l->line);
    if (cli_http(cli, &req, &r, &err) < 0)
        return cli_report(&err);
    print_line(l);
    snprintf(what, sizeof what, "logs of '%s'", l->args.v[0]);
    if (r.status < 200 || r.status >= 300)
        return cli_http_problem(cli, &r, what);
    return cli_flush();
}

/* No line can mean a silent function, or none of that name: then it is an error. */
static int check_known(const struct cli *cli, const char *name)
{
    struct pv_err err = PV_ERR_INIT;
    char target[512];
    char what[160];
    if (cli_target(target, sizeof target, "/system/function/", name, &err) < 0)
        return cli_report(&err);
    snprintf(what, sizeof what, "logs of '%s'", name);
    return cli_admin(cli, "GET", target, NULL, what, NULL);
}

/* A timestamp goes into the query as it came: only what a timestamp consists of. */
static bool plain_stamp(const char *s)
{
    return s[strspn(s, "0123456789-:.TZ")] == '\0';
}

int cmd_logs(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        options,
        parse,
        "NAME",
        "Shows what a function wrote to stderr."
        "\vExamples:\n  provost logs echo --tail 20\n  provost logs echo --since 10m --follow\n",
        children,
        NULL,
        NULL};
    struct logs l = {.args = {.cli = cli, .min = 1, .max = 1}};
    const struct timespec pause = {.tv_nsec = FOLLOW_PAUSE_MS * (long)PV_NS_PER_MS};
    char since[64] = "";
    cli_parse(&argp, argc, argv, &l);
    pv_buf_init(&l.line, LINE_MAX_BYTES);
    l.raw = cli->json;
    if (l.since_ns)
        cli_format_time(l.since_ns, since, sizeof since);
    int rc = show(cli, &l, since, l.tail);
    if (rc == CLI_OK && !l.any)
        rc = check_known(cli, l.args.v[0]);
    while (rc == CLI_OK && l.follow) {
        (void)nanosleep(&pause, NULL);
        if (plain_stamp(l.last) && *l.last)
            snprintf(since, sizeof since, "%s", l.last);
        l.skip = l.same;
        rc = show(cli, &l, since, FOLLOW_LINES);
    }
    pv_buf_done(&l.line);
    return rc;
}
