/* What the outside witness saw. */
#include "reconcile_core.h"

#include <errno.h>

static int on_fork(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err)
{
    const struct rec_key key = rec_key(rec_number(e, "proc"), 0, 0);
    const struct rec_key from = rec_key(rec_number(e, "parent"), 0, 0);
    const struct rec_row *parent = from.a ? rec_find(&r->procs, &from) : NULL;
    /* as the graph has it: a child of a host, or the first of a pid namespace */
    bool is_root = from.a == 0 || rec_number(e, "pid") == 1;
    struct rec_row *proc = NULL, *p = NULL, *root = NULL;
    bool is_new = false;
    uint64_t pid = is_root ? rec_number(e, "host_pid") : parent ? parent->pid : 0;
    uint64_t ticks = is_root ? rec_number(e, "start_ticks") : parent ? parent->ticks : 0;

    if (!is_root && !parent)
        return 0;
    PV_TRY(rec_get(&r->procs, &key, &proc, &is_new, err));
    proc->pid = pid;
    proc->ticks = ticks;
    if (!is_root)
        return 0;
    PV_TRY(rec_root_row(r, pid, ticks, &root, err));
    const struct rec_key birth = rec_key(pid, ticks, 0);
    PV_TRY(rec_half(r, PV_PAIR_INSTANCE, &birth, OUTSIDE, e, &p, err));
    p->pid = pid;
    p->ticks = ticks;
    return 0;
}

static struct rec_row *proc_of(const struct pv_reconcile *r, const struct pv_event *e)
{
    const struct rec_key key = rec_key(rec_number(e, "proc"), 0, 0);

    return rec_find(&r->procs, &key);
}

static void on_exec(struct pv_reconcile *r, const struct pv_event *e)
{
    const struct rec_row *proc = proc_of(r, e);
    struct rec_row *root = proc ? rec_root(r, proc->pid, proc->ticks) : NULL;

    if (!root || root->executed)
        return;
    root->executed = true;
    pv_event_get_text(e, "path", root->text, sizeof root->text);
}

static void on_proc_exit(struct pv_reconcile *r, const struct pv_event *e)
{
    struct rec_row *proc = proc_of(r, e);

    if (proc)
        rec_drop(&r->procs, proc);
}

static int on_object(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err)
{
    const struct rec_key key = rec_key(rec_number(e, "object"), 0, 0);
    struct rec_row *pipe = NULL;
    bool is_new = false;
    char type[8];

    pv_event_get_text(e, "type", type, sizeof type);
    if (strcmp(type, "pipe") != 0)
        return 0;
    PV_TRY(rec_get(&r->pipes, &key, &pipe, &is_new, err));
    pipe->number = rec_number(e, "ino");
    return 0;
}

static int on_write(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err)
{
    const struct rec_key object = rec_key(rec_number(e, "object"), 0, 0);
    const struct rec_row *proc = proc_of(r, e), *pipe = rec_find(&r->pipes, &object);
    struct rec_row *p = NULL;

    if (!proc || !pipe)
        return 0;
    const struct rec_key key = rec_key(proc->pid, proc->ticks, pipe->number);
    return rec_half(r, PV_PAIR_ANSWER, &key, OUTSIDE, e, &p, err);
}

static bool is_loopback(const char *address)
{
    return strcmp(address, "127.0.0.1") == 0 || strcmp(address, "::ffff:127.0.0.1") == 0;
}

static bool is_broker(const char *address, uint64_t port)
{
    return is_loopback(address) && (port == GATEWAY_PORT || port == PROXY_PORT);
}

/* Told right before the connect that made it one. */
static int on_socket(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err)
{
    const struct rec_key key = rec_key(rec_number(e, "object"), 0, 0);
    struct rec_row *s = NULL;
    bool is_new = false;
    char remote[64];

    pv_event_get_text(e, "remote_addr", remote, sizeof remote);
    if (!is_broker(remote, rec_number(e, "remote_port")))
        return 0;
    PV_TRY(rec_get(&r->sockets, &key, &s, &is_new, err));
    s->number = rec_number(e, "local_port");
    return 0;
}

static int on_connect(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err)
{
    const struct rec_key object = rec_key(rec_number(e, "object"), 0, 0);
    struct rec_row *s = rec_find(&r->sockets, &object), *p = NULL;
    const struct rec_row *proc = proc_of(r, e);
    uint64_t port = rec_number(e, "port"), result = rec_number(e, "result");
    char address[64];

    pv_event_get_text(e, "addr", address, sizeof address);
    if (!s || !is_broker(address, port) || (result != 0 && result != EINPROGRESS))
        return 0;
    uint64_t local = s->number;
    rec_drop(&r->sockets, s);
    if (!proc)
        return 0;
    const struct rec_key key = rec_connection_key(proc->pid, proc->ticks, local, port);
    PV_TRY(rec_half(r, PV_PAIR_CONNECTION, &key, OUTSIDE, e, &p, err));
    p->pid = proc->pid;
    p->ticks = proc->ticks;
    p->number = port;
    return 0;
}

static int on_alarm(struct pv_reconcile *r, const struct pv_event *e)
{
    char what[32], object[256], claim[16];

    pv_event_get_text(e, "what", what, sizeof what);
    pv_event_get_text(e, "object", object, sizeof object);
    pv_event_get_text(e, "claim", claim, sizeof claim);
    return rec_found(r, PV_FIND_ALARM, r->seq, &e->invocation,
                     "a sealed monitor (pid %ju) did what none has to: %s %s (claim: %s)",
                     (uintmax_t)rec_number(e, "pid"), what, object, claim[0] ? claim : "none");
}

/* Upkeep takes up the directories that a snapshot had open, no file. */
static int on_monitor_open(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err)
{
    enum { TYPE = 0170000, DIRECTORY = 0040000 };
    struct rec_row *p = NULL;
    char claim[16], path[256];

    pv_event_get_text(e, "claim", claim, sizeof claim);
    pv_event_get_text(e, "path", path, sizeof path);
    if (strcmp(claim, "request") != 0)
        return strcmp(claim, "upkeep") == 0 && (rec_number(e, "mode") & TYPE) == DIRECTORY
                   ? 0
                   : rec_found(r, PV_FIND_BAD_CLAIM, r->seq, &e->invocation,
                               "a monitor (pid %ju) opened %s and claims '%s'",
                               (uintmax_t)rec_number(e, "pid"), path, claim);
    const struct rec_key key = rec_open_key(rec_number(e, "pid"), e);
    PV_TRY(rec_half(r, PV_PAIR_OPEN, &key, OUTSIDE, e, &p, err));
    p->pid = rec_number(e, "pid");
    if (!p->text[0])
        pv_event_get_text(e, "path", p->text, sizeof p->text);
    return 0;
}

int rec_outside(struct pv_reconcile *r, const struct pv_event *e, struct pv_err *err)
{
    switch ((unsigned)e->kind) {
    case PV_K_MONITOR_ALARM:
        return on_alarm(r, e);
    case PV_K_MONITOR_OPEN:
        return on_monitor_open(r, e, err);
    case PV_K_PROC_FORK:
        return on_fork(r, e, err);
    case PV_K_PROC_EXEC:
        on_exec(r, e);
        return 0;
    case PV_K_PROC_EXIT:
        on_proc_exit(r, e);
        return 0;
    case PV_K_OBJECT:
        return on_object(r, e, err);
    case PV_K_WRITE:
        return on_write(r, e, err);
    case PV_K_SOCKET:
        return on_socket(r, e, err);
    case PV_K_CONNECT:
        return on_connect(r, e, err);
    default:
        return 0;
    }
}
