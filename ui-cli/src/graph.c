/* provost graph rebuild, digest. */
#include "graph.h"

#include "evidence.h"
#include "pv/clock.h"
#include "pv/own.h"
#include "simple_args.h"
#include "state.h"

#include <inttypes.h>
#include <stdio.h>

enum { OPT_OUTPUT = 'o' };

struct rebuild {
    struct cli_simple_args args;
    const char *output;
    uint64_t said_ns;
    uint64_t entries;
};

int cli_graph_path(const struct cli *cli, char out[PV_PATH_MAX], struct pv_err *err)
{
    if (snprintf(out, PV_PATH_MAX, "%s/graph/graph.db", cli->state_dir) >= PV_PATH_MAX)
        return pv_refuse(err, EINVAL, "the state directory's name is too long");
    return 0;
}

int cli_graph_first(const char *path, uint64_t *ret, struct pv_err *err)
{
    struct pv_graph *g PV_CLEANUP(pv_graph_close) = NULL;
    struct pv_graph_basis basis = {0};
    int rc = pv_graph_open(&g, path, err);
    if (rc != -ENOENT) {
        PV_TRY(rc);
        PV_TRY(pv_graph_basis(g, UINT64_MAX, 0, &basis, err));
    }
    *ret = basis.first_seq;
    return 0;
}

int cli_graph_check(const struct cli *cli, const struct pv_note_key *key, bool *ret_present,
                    struct pv_graph_check *ret, struct pv_err *err)
{
    char path[PV_PATH_MAX];
    pv_autoclose int log_fd = -1;
    PV_TRY(cli_graph_path(cli, path, err));
    *ret_present = access(path, F_OK) == 0;
    if (!*ret_present)
        return 0;
    PV_TRY(cli_state_open(cli, "log", &log_fd, err));
    /* a stitcher at work gets the moment it needs; a graph that cannot be opened is a finding of
     * the check, not of this */
    struct pv_graph *caught_up PV_CLEANUP(pv_graph_close) = NULL;
    (void)!cli_evidence_open(cli, &caught_up, NULL);
    return pv_graph_verify(path, log_fd, key, ret, err);
}

static void progress(void *ctx, uint64_t entries)
{
    struct rebuild *r = ctx;
    uint64_t now = pv_now_mono_ns();
    r->entries = entries;
    if (now - r->said_ns < PV_NS_PER_S / 2 || !isatty(STDERR_FILENO))
        return;
    r->said_ns = now;
    fprintf(stderr, "\rstitched %" PRIu64 " events", entries);
}

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct rebuild *r = state->input;
    if (key != OPT_OUTPUT)
        return cli_simple_key(&r->args, key, arg, state);
    r->output = arg;
    return 0;
}

/* first: of the events that a graph just made begins with; NULL: it is not new. */
static int show_digest(const struct cli *cli, const char *path, const char *what,
                       const uint64_t *first)
{
    struct pv_err err = PV_ERR_INIT;
    uint8_t digest[PV_HASH_BYTES];
    char hex[2 * PV_HASH_BYTES + 1];
    if (pv_graph_digest(path, digest, &err) < 0)
        return cli_report(&err);
    pv_hex(digest, sizeof digest, hex);
    if (cli->json)
        return cli_print_json(cli, json_pack("{s:s, s:s, s:o*}", "digest", hex, "graph", path,
                                             "first_event",
                                             first ? json_integer((json_int_t)*first) : NULL));
    printf("%s%s\n", what, hex);
    return cli_flush();
}

static int graph_rebuild(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp_option options[] = {
        {"output", OPT_OUTPUT, "FILE", 0, "Build it there instead; then the daemon may be running",
         1},
        {0},
    };
    static const struct argp argp = {
        options,
        parse,
        "",
        "Makes the graph anew from the evidence log and puts it in the old one's place in one "
        "step. The same log always gives the same content, whose digest is printed."
        "\vExamples:\n  provost graph rebuild\n  provost graph rebuild -o /tmp/other.db\n",
        children,
        NULL,
        NULL};
    struct rebuild r = {.args = {.cli = cli}};
    struct pv_err err = PV_ERR_INIT;
    char path[PV_PATH_MAX];
    pv_autoclose int log_fd = -1;
    cli_parse(&argp, argc, argv, &r);
    if (!r.output && cli_state_daemon_runs(cli))
        return cli_error(CLI_BUSY, "the daemon is writing to this graph; stop it first, or build "
                                   "another one with --output FILE");
    if (pv_crypto_init(&err) < 0 || cli_graph_path(cli, path, &err) < 0 ||
        cli_state_open(cli, "log", &log_fd, &err) < 0)
        return cli_report(&err);
    r.said_ns = pv_now_mono_ns();
    const char *target = r.output ? r.output : path;
    int rc = pv_graph_rebuild(target, log_fd, progress, &r, &err);
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
    uint64_t first = 0;
    if (rc < 0 || cli_graph_first(target, &first, &err) < 0)
        return cli_report(&err);
    if (first)
        fprintf(stderr,
                "provost: the graph begins at e%" PRIu64 ": the events before it are in archives "
                "that are not all attached ('provost audit attach', then rebuild again)\n",
                first);
    return show_digest(cli, target, "rebuilt; digest ", &first);
}

static int graph_digest(struct cli *cli, int argc, char **argv)
{
    struct cli_simple_args a = {.cli = cli, .max = 1};
    struct pv_err err = PV_ERR_INIT;
    char path[PV_PATH_MAX];
    cli_parse_simple(&a, "[FILE]",
                     "Prints a digest of all rows of the graph (or of the graph in FILE): two "
                     "graphs of the same log have the same."
                     "\vExample:\n  provost graph digest\n",
                     argc, argv);
    if (pv_crypto_init(&err) < 0 || cli_graph_path(cli, path, &err) < 0)
        return cli_report(&err);
    const char *graph = a.v[0] ? a.v[0] : path;
    /* SQLite does not tell why it cannot open a file */
    if (access(graph, R_OK) < 0 && errno == EACCES)
        return cli_error(CLI_DENIED, "'%s' may not be read by this user; run as root", graph);
    return show_digest(cli, graph, "", NULL);
}

int cmd_graph(struct cli *cli, int argc, char **argv)
{
    static const struct cli_command commands[] = {
        {"rebuild", "make the graph anew from the log", graph_rebuild},
        {"digest", "print a digest of the graph's content", graph_digest},
    };
    return cli_dispatch(cli, argv[0], commands, sizeof commands / sizeof *commands, argc, argv);
}
