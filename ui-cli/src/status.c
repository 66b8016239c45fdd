/* provost status: does the daemon answer, what does the log hold, has the graph caught up, is there
 * room for more. */
#include "cli.h"
#include "evidence.h"
#include "http.h"
#include "pv/escape.h"
#include "pv/units.h"
#include "simple_args.h"
#include "state.h"
#include "waiting.h"

#include <inttypes.h>
#include <string.h>
#include <sys/statvfs.h>

enum { HEALTH_TIMEOUT_MS = 3000 };

struct status {
    bool up;       /* the gateway answers and is healthy */
    char why[512]; /* why not */
    bool functions_known;
    size_t functions;
    size_t damaged; /* of them, whose registry entry cannot be read */
    bool log_known;
    uint64_t log_size;
    bool graph_known;
    struct pv_graph_basis basis;
    bool disk_known;
    uint64_t disk_bytes, free_bytes;
    struct cli_waiting waiting;
};
/* Below this no function version can start, nor a role start again. */
#define DISK_NEEDED_BYTES ((uint64_t)PV_RING_FILE_BYTES)

static void ask_health(const struct cli *cli, struct status *s)
{
    struct pv_err err = PV_ERR_INIT;
    struct cli_request req = {
        .method = "GET", .target = "/healthz", .timeout_ms = HEALTH_TIMEOUT_MS};
    cli_autoresponse struct cli_response r;
    int rc = cli_http(cli, &req, &r, &err);
    s->up = rc == 0 && r.status >= 200 && r.status < 300;
    if (rc < 0)
        snprintf(s->why, sizeof s->why, "%s", err.text);
    else if (!s->up)
        snprintf(s->why, sizeof s->why, "the gateway at %s answers %ld to /healthz", cli->url,
                 r.status);
}

/* Needs the token; without it the number stays unknown. */
static void count_functions(const struct cli *cli, struct status *s)
{
    struct pv_err err = PV_ERR_INIT;
    struct cli_request req = {.method = "GET",
                              .target = "/system/functions",
                              .admin = true,
                              .timeout_ms = HEALTH_TIMEOUT_MS};
    cli_autoresponse struct cli_response r;
    if (cli_http(cli, &req, &r, &err) < 0 || r.status != 200)
        return;
    cli_autojson json_t *all = json_loadb((const char *)r.body.data, r.body.len, 0, NULL);
    s->functions_known = json_is_array(all);
    s->functions = json_array_size(all);
    size_t i;
    json_t *f;
    json_array_foreach(all, i, f)
    {
        const char *state =
            json_string_value(json_object_get(json_object_get(f, "provost"), "state"));
        s->damaged += state && strcmp(state, "damaged") == 0;
    }
}

static void look_at_evidence(const struct cli *cli, struct status *s)
{
    struct pv_graph *g PV_CLEANUP(pv_graph_close) = NULL;
    s->log_known = cli_state_log_size(cli, &s->log_size, NULL) == 0;
    if (cli_evidence_look(cli, &g, NULL) < 0) /* asking for it would make the graph hurry */
        return;
    s->graph_known = pv_graph_basis(g, UINT64_MAX, 0, &s->basis, NULL) == 0;
}

/* What is free for the roles, who are no root. */
static void look_at_disk(const struct cli *cli, struct status *s)
{
    struct statvfs fs;
    s->disk_known = statvfs(cli->state_dir, &fs) == 0 && fs.f_blocks > 0;
    if (!s->disk_known)
        return;
    s->disk_bytes = (uint64_t)fs.f_blocks * fs.f_frsize;
    s->free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
}

static json_t *disk_json(const struct status *s)
{
    return json_pack("{s:I, s:I, s:I, s:b}", "total_bytes", (json_int_t)s->disk_bytes, "free_bytes",
                     (json_int_t)s->free_bytes, "needed_bytes", (json_int_t)DISK_NEEDED_BYTES,
                     "full", (int)(s->free_bytes < DISK_NEEDED_BYTES));
}

static void print_disk(const struct cli *cli, const struct status *s)
{
    char text[600], total[32], left[32], needed[32];
    cli_escape_str(cli->state_dir, text, sizeof text);
    cli_format_size(s->disk_bytes, total, sizeof total);
    cli_format_size(s->free_bytes, left, sizeof left);
    cli_format_size(DISK_NEEDED_BYTES, needed, sizeof needed);
    if (s->free_bytes < DISK_NEEDED_BYTES)
        printf("disk       FULL: %s of %s free in '%s', and a function version takes %s; make room "
               "there\n",
               left, total, text, needed);
    else
        printf("disk       %s of %s free in '%s'\n", left, total, text);
}

static json_t *auditor_json(const struct cli_waiting *w)
{
    json_t *o = json_pack("{s:b}", "stuck", (int)w->stuck);
    if (o && w->signed_known)
        (void)json_object_set_new(o, "signed_seconds_ago", json_integer((json_int_t)w->signed_s));
    if (o && w->rings_known)
        (void)json_object_set_new(o, "waiting_bytes", json_integer((json_int_t)w->bytes));
    return o;
}

static void print_auditor(const struct cli_waiting *w)
{
    if (!w->signed_known)
        return;
    printf("auditor    %slast checkpoint %" PRIu64 " s ago", w->stuck ? "STUCK: " : "",
           w->signed_s);
    if (!w->rings_known)
        printf("%s", "; how much waits for it is not shown: that needs root");
    else if (w->bytes)
        printf(", %" PRIu64 " bytes of events wait for it", w->bytes);
    puts(w->stuck ? "; none was taken for a second, and what they tell is in no answer" : "");
}

static json_t *status_json(const struct cli *cli, const struct status *s)
{
    json_t *o =
        json_pack("{s:b, s:s, s:s}", "up", (int)s->up, "url", cli->url, "state", cli->state_dir);
    if (!o)
        return NULL;
    if (!s->up)
        (void)json_object_set_new(o, "reason", json_string(s->why));
    if (s->functions_known)
        (void)json_object_update_new(o,
                                     json_pack("{s:I, s:I}", "functions", (json_int_t)s->functions,
                                               "damaged_functions", (json_int_t)s->damaged));
    if (s->log_known)
        (void)json_object_set_new(o, "log_size", json_integer((json_int_t)s->log_size));
    if (s->graph_known)
        (void)json_object_set_new(o, "basis", cli_basis_json(&s->basis));
    if (s->disk_known)
        (void)json_object_set_new(o, "disk", disk_json(s));
    (void)json_object_set_new(o, "auditor", auditor_json(&s->waiting));
    return o;
}

static void print_functions(const struct status *s)
{
    printf("functions  %zu", s->functions);
    if (s->damaged)
        printf(", %zu DAMAGED: 'provost describe NAME' says why", s->damaged);
    putchar('\n');
}

static void print_status(const struct cli *cli, const struct status *s)
{
    char text[600];
    if (s->up)
        printf("gateway    up at %s\n", cli_escape_str(cli->url, text, sizeof text));
    else
        printf("gateway    down: %s\n", cli_escape_str(s->why, text, sizeof text));
    if (s->functions_known)
        print_functions(s);
    else if (s->up)
        puts("functions  not shown: that needs the admin token");
    if (s->log_known)
        printf("log        %" PRIu64 " events\n", s->log_size);
    else
        printf("log        not readable in '%s'\n",
               cli_escape_str(cli->state_dir, text, sizeof text));
    print_auditor(&s->waiting);
    if (s->disk_known)
        print_disk(cli, s);
    if (!s->graph_known)
        return;
    if (s->log_known && s->basis.log_size < s->log_size)
        printf("graph      %" PRIu64 " events behind\n", s->log_size - s->basis.log_size);
    else
        puts("graph      complete");
    if (s->basis.witness_missing)
        puts("witness    inside only: the outside witness (eBPF) is or was missing");
    else
        printf("witness    inside and outside, %" PRIu64 " records lost\n", s->basis.lost);
}

int cmd_status(struct cli *cli, int argc, char **argv)
{
    struct cli_simple_args a = {.cli = cli};
    struct status s = {0};
    cli_parse_simple(&a, "",
                     "Shows whether the daemon answers, how large the evidence log is, whether the "
                     "graph has caught up and the outside witness is at work, what waits for "
                     "the auditor, and what room the state directory has. Exits with 4 when the "
                     "daemon does not answer, or its auditor takes no events."
                     "\vExample:\n  provost status --json\n",
                     argc, argv);
    ask_health(cli, &s);
    if (s.up)
        count_functions(cli, &s);
    look_at_evidence(cli, &s);
    look_at_disk(cli, &s);
    cli_look_at_waiting(cli, &s.waiting);
    s.waiting.stuck &= s.up; /* without a daemon it is no wonder */
    int rc;
    if (cli->json) {
        rc = cli_print_json(cli, status_json(cli, &s));
    } else {
        print_status(cli, &s);
        rc = cli_flush();
    }
    return rc != CLI_OK ? rc : s.up && !s.waiting.stuck ? CLI_OK : CLI_UNREACHABLE;
}
