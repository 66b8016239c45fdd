#include "evidence.h"

#include "pv/clock.h"
#include "pv/escape.h"
#include "pv/graph_export.h"
#include "state.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

enum { CATCH_UP_MS = 5000, POLL_MS = 10, ANSWER_MAX = 1 << 30 };

/* Opens the database once it is there: a daemon that starts makes it within moments. */
static int open_graph(const struct cli *cli, uint64_t deadline_ns, struct pv_graph **ret,
                      struct pv_err *err)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * (long)PV_NS_PER_MS};
    char path[PV_PATH_MAX];
    if (snprintf(path, sizeof path, "%s/graph/graph.db", cli->state_dir) >= (int)sizeof path)
        return pv_refuse(err, EINVAL, "the state directory's name is too long");
    for (;;) {
        pv_autoclose int dir_fd = -1;
        /* SQLite does not tell a missing file from one that may not be read */
        PV_TRY(cli_state_open(cli, "graph", &dir_fd, err));
        int rc = pv_graph_open(ret, path, err);
        if (rc != -ENOENT)
            return rc;
        if (pv_now_mono_ns() >= deadline_ns || !cli_state_daemon_runs(cli))
            return pv_refuse(err, ENOENT,
                             "there is no graph in the state directory '%s'; name the right one "
                             "with --state or PROVOST_STATE, or run 'provost graph rebuild'",
                             cli->state_dir);
        (void)nanosleep(&pause, NULL);
    }
}

/* The stitcher then hurries. Where it cannot be told, the graph comes all the same. */
static void hurry(const struct cli *cli)
{
    struct pv_err ignored = PV_ERR_INIT;
    pv_autoclose int dir_fd = -1;
    pv_autoclose int fd = -1;
    if (cli_state_open(cli, "graph", &dir_fd, &ignored) < 0)
        return;
    fd = openat(dir_fd, "asked", O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
    if (fd >= 0)
        (void)futimens(fd, NULL);
}

int cli_evidence_look(const struct cli *cli, struct pv_graph **ret, struct pv_err *err)
{
    return open_graph(cli, 0, ret, err);
}

int cli_evidence_open(const struct cli *cli, struct pv_graph **ret, struct pv_err *err)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * (long)PV_NS_PER_MS};
    struct pv_graph *g PV_CLEANUP(pv_graph_close) = NULL;
    uint64_t deadline_ns = pv_now_mono_ns() + CATCH_UP_MS * PV_NS_PER_MS;
    uint64_t wanted = 0, held = 0, before = 0;
    /* evidence copied without the leaf cache can still be asked: then nothing is waited for */
    if (cli_state_log_size(cli, &wanted, NULL) < 0)
        wanted = 0;
    PV_TRY(open_graph(cli, deadline_ns, &g, err));
    for (;;) {
        PV_TRY(pv_graph_size(g, &held, err));
        if (held >= wanted || pv_now_mono_ns() >= deadline_ns || !cli_state_daemon_runs(cli))
            break;
        if (before == 0)
            hurry(cli);
        if (held > before) /* as long as it comes closer, it is worth waiting for */
            deadline_ns = pv_now_mono_ns() + CATCH_UP_MS * PV_NS_PER_MS;
        before = held;
        (void)nanosleep(&pause, NULL);
    }
    if (held < wanted)
        fprintf(stderr,
                "provost: the graph is %" PRIu64 " events behind the log; the answer lacks them\n",
                wanted - held);
    *ret = PV_TAKE_PTR(g);
    return 0;
}

void cli_basis_print(FILE *f, const struct pv_graph_basis *basis)
{
    char text[600];
    pv_graph_basis_text(basis, text, sizeof text);
    fputs("basis: ", f);
    cli_escape_write(f, text, strlen(text), CLI_ESCAPE_TEXT);
    fputc('\n', f);
}

json_t *cli_basis_json(const struct pv_graph_basis *basis)
{
    /* as in every other answer: the exporter alone knows the names */
    const struct pv_graph_result only = {.basis = *basis};
    cli_autojson json_t *answer = cli_result_json(&only);
    return json_incref(json_object_get(answer, "basis"));
}

json_t *cli_result_json(const struct pv_graph_result *r)
{
    pv_autobuf struct pv_buf b;
    pv_buf_init(&b, ANSWER_MAX);
    if (pv_graph_write_json(r, &b, NULL) < 0)
        return NULL;
    return json_loadb((const char *)b.data, b.len, 0, NULL);
}
