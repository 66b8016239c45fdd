/* provost-stitcher: follows the evidence log and keeps graph.db up with it. What it holds can be
 * deleted at any time: it makes it anew from the log. */
#include "stitcher.h"

#include "pv/clock.h"
#include "pv/graph_follow.h"
#include "pv/log.h"
#include "pv/privilege.h"
#include "pv/ring.h"
#include "pv/role.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

/* A commit when this much is open, or for so long, sooner when the log is read to its end: the more
 * a commit holds, the less it costs an event. */
enum {
    BATCH = 500,
    COMMIT_ENTRIES = 20000,
    COMMIT_MS = 250,
    COMMIT_AT_END_MS = 100,
    ACTIVE_MS = 20,
    IDLE_MS = 200,
    ACTIVE_TURNS = 25
};

struct stitcher {
    struct pv_role_start start;
    struct pv_producer *producer; /* NULL once it has fallen silent */
    bool orphaned;                /* the supervisor is gone */
    uint32_t uid, gid;
    char log_path[PATH_MAX];
    char graph_path[PATH_MAX];
    char db_path[PATH_MAX];
    char asked_path[PATH_MAX];
    struct timespec asked; /* when that was last touched */
    int log_fd;
    struct pv_stitch *graph;
    struct pv_follow *follow;
    uint64_t opened_ms; /* when the open transaction began, 0: none is open */
    unsigned quiet;     /* turns without an entry */
    struct stitcher_share share;
};

static int read_start(struct stitcher *st, struct pv_msg *m, struct pv_err *err)
{
    struct pv_reader r;
    PV_TRY(pv_role_wait_start(m, &r, &st->start, err));
    st->uid = pv_read_u32(&r);
    st->gid = pv_read_u32(&r);
    pv_read_str(&r, st->log_path, sizeof st->log_path);
    pv_read_str(&r, st->graph_path, sizeof st->graph_path);
    PV_TRY(pv_reader_end(&r, "start message of the stitcher", err));
    int n = snprintf(st->db_path, sizeof st->db_path, "%s/graph.db", st->graph_path);
    int k = snprintf(st->asked_path, sizeof st->asked_path, "%s/asked", st->graph_path);
    if (n < 0 || (size_t)n >= sizeof st->db_path || k < 0 || (size_t)k >= sizeof st->asked_path)
        return pv_refuse(err, ENAMETOOLONG, "the graph directory's path is too long");
    st->log_fd = pv_msg_take_fd(m, 1);
    return st->log_fd >= 0 ? 0 : pv_refuse(err, EPROTO, "no log directory was handed over");
}

static int open_producer(struct stitcher *st, struct pv_msg *m, struct pv_err *err)
{
    PV_TRY(pv_crypto_init(err));
    int rc =
        pv_producer_open(&st->producer, pv_msg_take_fd(m, 0), PV_ROLE_BELL_FD, &st->start.domain,
                         st->start.k0, st->start.name, st->start.measurement, err);
    explicit_bzero(st->start.k0, sizeof st->start.k0);
    explicit_bzero(m->body.data, m->body.len);
    return rc;
}

static int open_graph(struct stitcher *st, struct pv_err *err)
{
    PV_TRY(pv_stitch_open(&st->graph, st->db_path, err));
    return pv_follow_open(&st->follow, st->graph, st->log_fd, err);
}

static void close_graph(struct stitcher *st)
{
    pv_follow_close(st->follow);
    pv_stitch_close(st->graph);
    st->follow = NULL;
    st->graph = NULL;
    st->opened_ms = 0;
}

/* A graph that cannot be continued is moved aside for whoever wants to look at it. */
static int put_aside(struct stitcher *st, const char *why, struct pv_err *err)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    char from[PATH_MAX + 8], to[PATH_MAX + 32];
    uint64_t now = pv_now_real_ns() / PV_NS_PER_S;
    pv_log(PV_LOG_WARN,
           "the graph is put aside as graph.db.bad-%llu and made anew from the log: %s",
           (unsigned long long)now, why);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        (void)snprintf(from, sizeof from, "%s%s", st->db_path, parts[i]);
        (void)snprintf(to, sizeof to, "%s.bad-%llu%s", st->db_path, (unsigned long long)now,
                       parts[i]);
        if (rename(from, to) < 0 && errno != ENOENT)
            return pv_fail(err, errno, "move '%s' aside", from);
    }
    return 0;
}

static bool is_damage(int rc)
{
    return rc == -EILSEQ || rc == -ESTALE || rc == -EEXIST;
}

static int reopen(struct stitcher *st, int rc, struct pv_err *err)
{
    struct pv_err why = *err;
    if (!is_damage(rc))
        return rc;
    close_graph(st);
    PV_TRY(put_aside(st, why.text, err));
    return open_graph(st, err);
}

static int commit(struct stitcher *st, struct pv_err *err)
{
    st->opened_ms = 0;
    return pv_stitch_commit(st->graph, err);
}

/* One turn: some entries, and a commit when the transaction is big or old enough. Returns how many
 * entries there were. */
static int turn(struct stitcher *st, struct pv_err *err)
{
    int n = pv_follow_step(st->follow, BATCH, err);
    PV_TRY(n);
    uint64_t now = pv_now_mono_ns() / PV_NS_PER_MS;
    if (n > 0 && st->opened_ms == 0)
        st->opened_ms = now;
    if (st->opened_ms && (pv_stitch_uncommitted(st->graph) >= COMMIT_ENTRIES ||
                          now - st->opened_ms >= (n == 0 ? COMMIT_AT_END_MS : COMMIT_MS)))
        PV_TRY(commit(st, err));
    return n;
}

/* 1 = go on, 0 = finish. */
static int wait_control(struct stitcher *st, int timeout_ms, struct pv_err *err)
{
    struct pollfd p = {.fd = PV_ROLE_CONTROL_FD, .events = POLLIN};
    int rc = poll(&p, 1, timeout_ms);
    if (rc < 0 && errno != EINTR)
        return pv_fail(err, errno, "wait for the supervisor");
    if (rc <= 0 || !p.revents)
        return 1;
    pv_automsg struct pv_msg m = {0};
    rc = pv_msg_recv(PV_ROLE_CONTROL_FD, &m, err);
    if (rc == -EAGAIN)
        return 1;
    PV_TRY(rc);
    st->orphaned = rc == 0;
    return rc == 1 && m.type != PV_ROLE_DRAIN;
}

/* The log cannot be finished while one of its producers, which we are too, has not said its last
 * word. */
static int fall_silent(struct stitcher *st, struct pv_err *err)
{
    pv_automsg struct pv_msg m = {0};
    pv_producer_close(st->producer, "drained");
    st->producer = NULL;
    pv_msg_init(&m, PV_STITCHER_SILENT);
    return pv_msg_send(PV_ROLE_CONTROL_FD, &m, err);
}

static bool graph_was_replaced(const struct stitcher *st, ino_t *ino)
{
    struct stat now;
    bool gone = stat(st->db_path, &now) < 0;
    bool other = gone || (*ino && now.st_ino != *ino);
    *ino = gone ? 0 : now.st_ino;
    return other;
}

/* Whether somebody who waits for the graph has touched the file since the last time. */
static bool is_asked(struct stitcher *st)
{
    struct stat now;
    if (stat(st->asked_path, &now) < 0)
        return false;
    bool again = now.st_mtim.tv_sec != st->asked.tv_sec || now.st_mtim.tv_nsec != st->asked.tv_nsec;
    st->asked = now.st_mtim;
    return again;
}

static int finish(struct stitcher *st, struct pv_err *err)
{
    int n;
    do {
        stitcher_share_full(&st->share);
        n = turn(st, err);
        PV_TRY(n);
    } while (n > 0);
    return commit(st, err);
}

static uint64_t cpu_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * PV_NS_PER_S + (uint64_t)t.tv_nsec;
}

/* How many milliseconds until the next turn, after one of n entries. */
static int pause_after(struct stitcher *st, int n, uint64_t worked_ns)
{
    struct stitcher_turn t = {
        .now_ns = pv_now_mono_ns(),
        .worked_ns = worked_ns,
        .done = (uint64_t)n,
        .log_size = pv_follow_log_size(st->follow),
        .at_end = n < BATCH,
        .asked = is_asked(st),
    };
    st->quiet = n > 0 ? 0 : st->quiet + 1;
    uint64_t pause_ns = stitcher_share_turn(&st->share, &t);
    if (n > 0)
        return (int)(pause_ns / PV_NS_PER_MS);
    return st->quiet < ACTIVE_TURNS ? ACTIVE_MS : IDLE_MS;
}

static int run(struct stitcher *st, struct pv_err *err)
{
    ino_t ino = 0;
    (void)graph_was_replaced(st, &ino);
    for (;;) {
        uint64_t begin_ns = cpu_ns();
        int n = turn(st, err);
        if (n < 0) {
            PV_TRY(reopen(st, n, err));
            (void)graph_was_replaced(st, &ino);
            continue;
        }
        int rc = wait_control(st, pause_after(st, n, cpu_ns() - begin_ns), err);
        PV_TRY(rc);
        if (rc == 0 && (!st->producer || st->orphaned))
            return finish(st, err);
        if (rc == 0)
            PV_TRY(fall_silent(st, err));
        /* `provost graph rebuild` puts another file there: go on with that one. */
        if (st->opened_ms == 0 && graph_was_replaced(st, &ino)) {
            close_graph(st);
            PV_TRY(open_graph(st, err));
            (void)graph_was_replaced(st, &ino);
        }
    }
}

static int say_ready(struct pv_err *err)
{
    pv_automsg struct pv_msg m = {0};
    pv_msg_init(&m, PV_ROLE_READY);
    pv_buf_str(&m.body, "follows the log");
    return pv_msg_send(PV_ROLE_CONTROL_FD, &m, err);
}

static int stitch(struct stitcher *st, struct pv_err *err)
{
    pv_automsg struct pv_msg m = {0};
    PV_TRY(read_start(st, &m, err));
    PV_TRY(open_producer(st, &m, err));
    stitcher_share_open(&st->share);
    PV_TRY(pv_privilege_drop(st->uid, st->gid, 0, err));
    PV_TRY(stitcher_confine(err));
    int rc = open_graph(st, err);
    if (rc < 0)
        PV_TRY(reopen(st, rc, err));
    PV_TRY(say_ready(err));
    return run(st, err);
}

int main(void)
{
    struct stitcher st = {.log_fd = -1, .share = {.autogroup_fd = -1}};
    struct pv_err err = PV_ERR_INIT;

    pv_log_init("stitcher", PV_LOG_INFO);
    (void)umask(0077);
    int rc = stitch(&st, &err);
    if (rc < 0)
        pv_log(PV_LOG_ERROR, "%s", err.text);
    close_graph(&st);
    stitcher_share_close(&st.share);
    pv_producer_close(st.producer, rc < 0 ? "failed" : "drained");
    if (st.log_fd >= 0)
        (void)close(st.log_fd);
    return rc < 0 ? 1 : 0;
}
