/* provost audit archive, attach: old entries leave the log for a file, and can be read from there.
 */
#include "audit.h"
#include "graph.h"
#include "pv/archive.h"
#include "pv/clock.h"
#include "pv/graph.h"
#include "pv/log_reader.h"
#include "pv/own.h"
#include "pv/tile.h"
#include "pv/units.h"
#include "simple_args.h"
#include "state.h"

#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { OPT_KEEP = 0x100, WAIT_MS = 20000, GRAPH_MS = 60000, POLL_MS = 50 };

struct archive_args {
    struct cli_simple_args args;
    uint64_t keep;
};

static error_t parse(int key, char *arg, struct argp_state *state)
{
    struct archive_args *a = state->input;
    struct pv_err err = PV_ERR_INIT;
    if (key != OPT_KEEP)
        return cli_simple_key(&a->args, key, arg, state);
    if (cli_parse_count(arg, UINT64_MAX, &a->keep, &err) < 0)
        argp_error(state, "%s", err.text);
    return 0;
}

struct choice {
    uint64_t first, end; /* what goes; first = end: nothing */
    uint64_t limit;      /* no entry from there on may go */
    uint64_t size;       /* of the log */
};

/* Which entries: whatever is not detached yet, and not among those to be kept. */
static int choose(int log_fd, uint64_t keep, struct choice *ret, struct pv_err *err)
{
    PV_TRY(pv_log_detached(log_fd, &ret->first, err));
    PV_TRY(pv_log_detachable(log_fd, &ret->limit, err));
    PV_TRY(pv_log_written(log_fd, &ret->size, err));
    uint64_t end = ret->size > keep ? ret->size - keep : 0;
    end = end < ret->limit ? end : ret->limit;
    ret->end = end - end % PV_TILE_WIDTH;
    return 0;
}

static int refuse(const struct choice *c, uint64_t keep)
{
    return cli_error(CLI_REFUSED,
                     "there are no events to be archived: of %" PRIu64 " events %" PRIu64
                     " are archived already, the newest %" PRIu64
                     " stay (the log's journal and a segment of %d before it), and --keep %" PRIu64
                     " leaves less than the %d that go together",
                     c->size, c->first, c->size - c->limit, PV_LOG_SEGMENT_ENTRIES, keep,
                     PV_TILE_WIDTH);
}

static int open_parent(const char *file, int *ret_fd, const char **ret_name, struct pv_err *err)
{
    char dir[PV_PATH_MAX];
    const char *slash = strrchr(file, '/');
    *ret_name = slash ? slash + 1 : file;
    if (snprintf(dir, sizeof dir, "%.*s", slash ? (int)(slash - file + 1) : 1,
                 slash ? file : ".") >= (int)sizeof dir)
        return pv_refuse(err, EINVAL, "the name '%s' is too long", file);
    *ret_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return *ret_fd < 0 ? pv_fail(err, errno, "open '%s'", dir) : 0;
}

/* The auditor alone writes to the log; it is asked as for a new key. */
static int ask(const struct cli *cli, const struct pv_archive_info *info, struct pv_err *err)
{
    pv_autoclose int dir_fd = -1;
    PV_TRY(cli_state_open(cli, "keys", &dir_fd, err));
    return pv_detach_ask(dir_fd, info, err);
}

static int make_file(const char *file, int log_fd, const struct pv_note_key *key,
                     struct pv_archive_info *info, struct pv_err *err)
{
    pv_autoclose int dir_fd = -1;
    const char *name;
    PV_TRY(open_parent(file, &dir_fd, &name, err));
    return pv_archive_store(dir_fd, name, log_fd, key, info, err);
}

/* The graph reads every event once; it must have done so before they go. */
static int await_graph(const struct cli *cli, uint64_t end, struct pv_err *err)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * (long)PV_NS_PER_MS};
    char path[PV_PATH_MAX];
    uint64_t held = 0;
    PV_TRY(cli_graph_path(cli, path, err));
    if (access(path, F_OK) < 0 && !cli_state_daemon_runs(cli))
        return 0;
    for (unsigned waited = 0; waited < GRAPH_MS; waited += POLL_MS) {
        struct pv_graph *g PV_CLEANUP(pv_graph_close) = NULL;
        struct pv_err why = PV_ERR_INIT;
        if (pv_graph_open(&g, path, &why) == 0 && pv_graph_size(g, &held, &why) == 0 && held >= end)
            return 0;
        if (!cli_state_daemon_runs(cli))
            break;
        (void)nanosleep(&pause, NULL);
    }
    return pv_refuse(err, EBUSY,
                     "the archive is written, but the graph has only %" PRIu64
                     " events yet: run this again when it has caught up, or after 'provost graph "
                     "rebuild'",
                     held);
}

static int await(int log_fd, uint64_t end, struct pv_err *err)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * (long)PV_NS_PER_MS};
    uint64_t now;
    for (unsigned waited = 0; waited < WAIT_MS; waited += POLL_MS) {
        PV_TRY(pv_log_detached(log_fd, &now, err));
        if (now >= end)
            return 0;
        (void)nanosleep(&pause, NULL);
    }
    return pv_refuse(err, EBUSY,
                     "the archive is written, but the auditor has not let go of its "
                     "entries yet; it will as soon as it can write to its log");
}

static int tell(struct cli *cli, const char *file, const struct pv_archive_info *info, bool done)
{
    fprintf(stderr, "provost: the graph keeps what it has of them; one made anew by 'provost graph "
                    "rebuild' has it only while the archive is attached\n");
    if (cli->json)
        return cli_print_json(cli, json_pack("{s:s, s:I, s:I, s:b}", "archive", file, "first",
                                             (json_int_t)info->first, "end", (json_int_t)info->end,
                                             "detached", (int)done));
    printf("e%" PRIu64 " to e%" PRIu64 " are in '%s'%s\n", info->first, info->end - 1, file,
           done ? "" : "; the log lets go of them when the daemon starts");
    return cli_flush();
}

int audit_archive(struct cli *cli, int argc, char **argv)
{
    static const struct argp_child children[] = {{&cli_common_argp, 0, NULL, 0}, {0}};
    static const struct argp_option options[] = {
        {"keep", OPT_KEEP, "N", 0, "Leave the newest N events in the log (as few as possible)", 1},
        {0},
    };
    static const struct argp argp = {
        options,
        parse,
        "FILE",
        "Moves the log's oldest events into an archive (root only). Their hashes stay in the log, "
        "so that everything about it can still be proved and verified; what they said is in FILE, "
        "which can be checked by itself, and attached again. Interrupted, it goes on when it is "
        "given the same FILE."
        "\vExamples:\n  provost audit archive --keep 1000000 /backup/log-1.archive\n"
        "  provost verify --archive /backup/log-1.archive --key log.pub\n"
        "  provost audit attach /backup/log-1.archive\n",
        children,
        NULL,
        NULL};
    struct archive_args a = {.args = {.cli = cli, .min = 1, .max = 1}};
    struct pv_err err = PV_ERR_INIT;
    struct pv_note_key key;
    struct pv_archive_info info = {0};
    struct choice choice;
    pv_autoclose int log_fd = -1;
    cli_parse(&argp, argc, argv, &a);
    const char *file = a.args.v[0];
    if (pv_crypto_init(&err) < 0 || cli_state_followed_key(cli, NULL, &key, &err) < 0 ||
        cli_state_open(cli, "log", &log_fd, &err) < 0 || choose(log_fd, a.keep, &choice, &err) < 0)
        return cli_report(&err);
    uint64_t detached = choice.first;
    info.first = choice.first;
    info.end = choice.end;
    if (info.first >= info.end && access(file, F_OK) < 0)
        return refuse(&choice, a.keep);
    if (make_file(file, log_fd, &key, &info, &err) < 0)
        return cli_report(&err);
    if (info.end <= detached) /* by an earlier run */
        return tell(cli, file, &info, true);
    if (await_graph(cli, info.end, &err) < 0 || ask(cli, &info, &err) < 0)
        return cli_report(&err);
    bool runs = cli_state_daemon_runs(cli);
    if (runs && await(log_fd, info.end, &err) < 0)
        return cli_report(&err);
    return tell(cli, file, &info, runs);
}

static int attach(int log_fd, const char *file, const struct pv_archive_info *info,
                  struct pv_err *err)
{
    char path[PATH_MAX], name[PV_ARCHIVE_NAME_MAX];
    pv_archive_name(info->first, info->end, name);
    if (!realpath(file, path))
        return pv_fail(err, errno, "find '%s'", file);
    *strrchr(name, '/') = 0;
    if (mkdirat(log_fd, name, 0755) < 0 && errno != EEXIST)
        return pv_fail(err, errno, "create the log's '%s'", name);
    pv_archive_name(info->first, info->end, name);
    if (unlinkat(log_fd, name, 0) < 0 && errno != ENOENT)
        return pv_fail(err, errno, "replace the log's '%s'", name);
    return symlinkat(path, log_fd, name) < 0 ? pv_fail(err, errno, "create the log's '%s'", name)
                                             : 0;
}

int audit_attach(struct cli *cli, int argc, char **argv)
{
    struct cli_simple_args a = {.cli = cli, .min = 1, .max = 1};
    struct pv_err err = PV_ERR_INIT;
    struct pv_note_key key;
    struct pv_archive_info info;
    pv_autoclose int log_fd = -1;
    cli_parse_simple(
        &a, "FILE",
        "Attaches an archive that 'audit archive' made, after checking it: its events "
        "can be read, verified and proved again as if the log still held them. The "
        "file stays where it is; a link in the log's directory 'archive' names it, and "
        "removing the link detaches it."
        "\vExample:\n  provost audit attach /backup/log-1.archive\n",
        argc, argv);
    if (pv_crypto_init(&err) < 0 || cli_state_followed_key(cli, NULL, &key, &err) < 0 ||
        cli_state_open(cli, "log", &log_fd, &err) < 0)
        return cli_report(&err);
    pv_autoclose int fd = open(a.v[0], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        (void)pv_fail(&err, errno, "open the archive '%s'", a.v[0]);
        return cli_report(&err);
    }
    if (pv_archive_check(fd, &key, &info, &err) < 0 || pv_archive_is_of(&info, log_fd, &err) < 0)
        return cli_error(CLI_FAILED, "the archive '%s' does not hold: %s", a.v[0], err.text);
    if (attach(log_fd, a.v[0], &info, &err) < 0)
        return cli_report(&err);
    char graph[PV_PATH_MAX];
    uint64_t begins = 0;
    /* it is attached, whatever state the graph is in */
    bool unreadable =
        cli_graph_path(cli, graph, &err) < 0 || cli_graph_first(graph, &begins, &err) < 0;
    bool rebuild = unreadable || begins > info.first;
    if (unreadable)
        fprintf(stderr,
                "provost: the graph cannot be read (%s): 'provost graph rebuild' makes it "
                "anew, with what is attached\n",
                err.text);
    else if (rebuild)
        fprintf(stderr,
                "provost: the graph begins at e%" PRIu64 ": 'provost graph rebuild' takes in what "
                "is attached\n",
                begins);
    if (cli->json)
        return cli_print_json(cli,
                              json_pack("{s:I, s:I, s:b}", "first", (json_int_t)info.first, "end",
                                        (json_int_t)info.end, "graph_lacks_them", (int)rebuild));
    printf("e%" PRIu64 " to e%" PRIu64 " are read from '%s'\n", info.first, info.end - 1, a.v[0]);
    return cli_flush();
}
