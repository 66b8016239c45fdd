/* provost audit replay: the auditor and the graph as always, but the outside witness's records come
 * from a file. The auditor is started as the supervisor starts it, with nobody else to hear. */
#include "audit.h"
#include "libexec.h"
#include "pv/graph_follow.h"
#include "pv/own.h"
#include "pv/probe_stream.h"
#include "pv/role.h"
#include "simple_args.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { CANNOT_EXECUTE = 127, FIRST_FREE_FD = PV_ROLE_BELL_FD + 1 };
/* Whom the log belongs to while it is written: the auditor must not be root. */
enum { NOBODY = 65534 };

struct replay {
    const char *dir;
    int dir_fd, log_fd, key_fd, graph_fd; /* owned */
    uint64_t records, lost;
};

/* The whole of it before anything is made: a file that is cut short leaves nothing behind. */
static int check_stream(const char *path, struct replay *r, struct pv_err *err)
{
    struct pv_stream *s PV_CLEANUP(pv_stream_close) = NULL;
    struct pv_stream_item item;
    FILE *f = fopen(path, "re");
    int rc = f ? pv_stream_open(&s, f, err) : pv_fail(err, errno, "open '%s'", path);
    while (rc >= 0 && (rc = pv_stream_next(s, &item, err)) > 0) {
        r->records += item.rec != NULL;
        r->lost += item.rec ? 0 : item.count;
    }
    if (f)
        (void)fclose(f);
    return rc;
}

static int make_one(const struct replay *r, const char *name, int *ret_fd, struct pv_err *err)
{
    if (mkdirat(r->dir_fd, name, 0700) != 0)
        return pv_fail(err, errno, "make '%s/%s'", r->dir, name);
    *ret_fd = openat(r->dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (*ret_fd < 0 || fchown(*ret_fd, NOBODY, NOBODY) != 0)
        return pv_fail(err, errno, "open '%s/%s'", r->dir, name);
    return 0;
}

static int make_state(struct replay *r, struct pv_err *err)
{
    if (mkdir(r->dir, 0711) != 0)
        return pv_fail(err, errno, "make the directory '%s'", r->dir);
    r->dir_fd = open(r->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (r->dir_fd < 0)
        return pv_fail(err, errno, "open '%s'", r->dir);
    PV_TRY(make_one(r, "log", &r->log_fd, err));
    PV_TRY(make_one(r, "keys", &r->key_fd, err));
    return make_one(r, "graph", &r->graph_fd, err);
}

_Noreturn static void run_auditor(const char *path, int control_end, int bell_fd)
{
    char title[] = "provost-auditor";
    char *argv[] = {title, NULL};
    int control = fcntl(control_end, F_DUPFD, FIRST_FREE_FD);
    int bell = fcntl(bell_fd, F_DUPFD, FIRST_FREE_FD);
    if (control < 0 || bell < 0 || dup2(control, PV_ROLE_CONTROL_FD) < 0 ||
        dup2(bell, PV_ROLE_BELL_FD) < 0 || close_range(FIRST_FREE_FD, ~0u, 0) != 0)
        _exit(CANNOT_EXECUTE);
    (void)execv(path, argv);
    _exit(CANNOT_EXECUTE);
}

/* What it is to do, and that it is to finish: the stream is read to its end all the same. */
static int tell_auditor(const struct replay *r, int control, int stream_fd, struct pv_err *err)
{
    struct pv_role_start start = {.domain = pv_domain_id_new(), .name = "auditor"};
    pv_automsg struct pv_msg m;
    pv_automsg struct pv_msg drain;
    arc4random_buf(start.k0, sizeof start.k0);
    pv_msg_init(&m, PV_ROLE_START);
    pv_msg_init(&drain, PV_ROLE_DRAIN);
    pv_role_start_put(&m, &start);
    explicit_bzero(&start, sizeof start);
    pv_buf_u8(&m.body, PV_WITNESS_REPLAY);
    pv_buf_str(&m.body, "");
    pv_buf_u32(&m.body, NOBODY);
    pv_buf_u32(&m.body, NOBODY);
    pv_buf_str(&m.body, "");
    pv_msg_put_fd(&m, open("/dev/null", O_RDONLY | O_CLOEXEC));
    pv_msg_put_fd(&m, fcntl(r->log_fd, F_DUPFD_CLOEXEC, 0));
    pv_msg_put_fd(&m, fcntl(r->key_fd, F_DUPFD_CLOEXEC, 0));
    pv_msg_put_fd(&m, fcntl(stream_fd, F_DUPFD_CLOEXEC, 0));
    PV_TRY(pv_msg_send(control, &m, err));
    return pv_msg_send(control, &drain, err);
}

static int write_log(const struct replay *r, const char *stream, struct pv_err *err)
{
    char path[PV_PATH_MAX];
    int pair[2], status = 0;
    pv_autoclose int stream_fd = open(stream, O_RDONLY | O_CLOEXEC);
    pv_autoclose int bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (stream_fd < 0 || bell < 0)
        return pv_fail(err, errno, "open '%s'", stream);
    PV_TRY(cli_libexec("provost-auditor", path, err));
    PV_TRY(pv_msg_pair(pair, err));
    pv_autoclose int ours = pair[0];
    pv_autoclose int theirs = pair[1];
    (void)signal(SIGPIPE, SIG_IGN);
    pid_t pid = fork();
    if (pid < 0)
        return pv_fail(err, errno, "fork for '%s'", path);
    if (pid == 0)
        run_auditor(path, theirs, bell);
    pv_close_fd_(&theirs);
    theirs = -1;
    int rc = tell_auditor(r, ours, stream_fd, err);
    if (waitpid(pid, &status, 0) != pid)
        return pv_fail(err, errno, "wait for the auditor");
    PV_TRY(rc);
    if (status != 0)
        return pv_refuse(err, EIO, "the auditor could not replay '%s' (its reason stands above)",
                         stream);
    return 0;
}

static int replay(struct replay *r, const char *stream, struct pv_err *err)
{
    char graph[PV_PATH_MAX];
    PV_TRY(pv_crypto_init(err));
    PV_TRY(check_stream(stream, r, err));
    if (snprintf(graph, sizeof graph, "%s/graph/graph.db", r->dir) >= (int)sizeof graph)
        return pv_refuse(err, ENAMETOOLONG, "the directory's name is too long");
    PV_TRY(make_state(r, err));
    PV_TRY(write_log(r, stream, err));
    return pv_graph_rebuild(graph, r->log_fd, NULL, NULL, err);
}

static void close_all(struct replay *r)
{
    pv_close_fd_(&r->dir_fd);
    pv_close_fd_(&r->log_fd);
    pv_close_fd_(&r->key_fd);
    pv_close_fd_(&r->graph_fd);
}

int audit_replay(struct cli *cli, int argc, char **argv)
{
    struct cli_simple_args a = {.cli = cli, .min = 2, .max = 2};
    struct replay r = {.dir_fd = -1, .log_fd = -1, .key_fd = -1, .graph_fd = -1};
    struct pv_err err = PV_ERR_INIT;
    cli_parse_simple(&a, "FILE DIR",
                     "Replays what 'provost audit record' saved through the auditor and into a "
                     "graph, without eBPF: DIR is made, as a state directory with a log and a key "
                     "of its own. Needs root."
                     "\vExample:\n  provost audit replay tar.rec /tmp/tar\n"
                     "  provost audit find --state /tmp/tar passwd\n",
                     argc, argv);
    if (geteuid() != 0)
        return cli_error(CLI_DENIED, "a replay needs root: the auditor runs as a user of its own");
    r.dir = a.v[1];
    int rc = replay(&r, a.v[0], &err);
    close_all(&r);
    if (rc < 0)
        return cli_report(&err);
    if (cli->json)
        return cli_print_json(cli, json_pack("{s:I, s:I, s:s}", "records", (json_int_t)r.records,
                                             "lost", (json_int_t)r.lost, "state", r.dir));
    printf("replayed %" PRIu64 " records (%" PRIu64 " lost) into %s\n", r.records, r.lost, r.dir);
    return cli_flush();
}
