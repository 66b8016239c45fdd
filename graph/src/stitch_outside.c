/* The outside account: processes, files, pipes and sockets as the kernel saw them. Its events come
 * in one ordered stream, so that versions can follow PASS's rule (Muniswamy-Reddy et al., USENIX
 * ATC 2006, section 5.3): whatever something depends on is never given new dependencies. */
#include "stitch_core.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SECRETS "/var/openfaas/secrets/"

enum { TYPE_FILE = 1, TYPE_PIPE = 2, TYPE_SOCKET = 3 };

static uint64_t field(const struct pv_stitch *s, unsigned i)
{
    return s->e->v[i].u64;
}

int pv_stitch_group_by_id(struct pv_stitch *s, uint64_t grp, union pv_s_value **ret,
                          struct pv_err *err)
{
    return pv_state_find(s->state, PV_S_GROUP, grp, 0, 0, ret, err);
}

int pv_stitch_group(struct pv_stitch *s, uint64_t pid, uint64_t start_ticks, union pv_s_value **ret,
                    struct pv_err *err)
{
    union pv_s_value *alias = NULL;
    bool is_new = false;
    PV_TRY(pv_state_get(s->state, PV_S_ALIAS_PID, pid, start_ticks, 0, &alias, &is_new, err));
    if (is_new)
        alias->alias.id = s->next_grp++;
    PV_TRY(pv_state_get(s->state, PV_S_GROUP, alias->alias.id, 0, 0, ret, &is_new, err));
    if (is_new) {
        struct pv_s_group *g = &(*ret)->group;
        g->id = alias->alias.id;
        g->pid = pid;
        g->start_ticks = start_ticks;
    }
    return 0;
}

/* inherited: name of the parent's program, or 0. */
static int make_process(struct pv_stitch *s, struct pv_s_proc *p, uint64_t proc, uint64_t inherited,
                        struct pv_err *err)
{
    char name[48];
    (void)snprintf(name, sizeof name, "process %llu", (unsigned long long)proc);
    p->name = inherited;
    if (!inherited)
        PV_TRY(pv_stitch_intern(s, name, &p->name, err));
    p->grp = s->grp;
    const struct pv_new_object o = {.type = PV_N_PROCESS, .grp = p->grp, .name = p->name};
    return pv_stitch_object(s, &o, &p->v, err);
}

/* Events of a process that was never introduced (a gap swallowed its fork) still count: it becomes
 * a process of a group of its own. */
static int process(struct pv_stitch *s, uint64_t proc, union pv_s_value **ret, struct pv_err *err)
{
    bool is_new = false;
    PV_TRY(pv_state_get(s->state, PV_S_PROC, proc, 0, 0, ret, &is_new, err));
    struct pv_s_proc *p = &(*ret)->proc;
    if (is_new)
        PV_TRY(make_process(s, p, proc, 0, err));
    s->grp = p->grp;
    pv_state_touch(s->state, *ret);
    return 0;
}

static int on_fork(struct pv_stitch *s, struct pv_err *err)
{
    union pv_s_value *parent = NULL, *child = NULL, *grp = NULL;
    /* The first process of an instance: a child of the host, or a fork of the function's zygote,
     * which is the first of a pid namespace (no function can make one). */
    bool root = field(s, 1) == 0 || field(s, 3) == 1;
    if (field(s, 1) != 0)
        PV_TRY(process(s, field(s, 1), &parent, err));
    if (root) {
        PV_TRY(pv_stitch_group(s, field(s, 2), field(s, 4), &grp, err));
        s->grp = grp->group.id;
    }
    /* A number may return after a reboot: a fork always makes a new process. */
    PV_TRY(pv_state_get(s->state, PV_S_PROC, field(s, 0), 0, 0, &child, NULL, err));
    pv_state_touch(s->state, child);
    PV_TRY(make_process(s, &child->proc, field(s, 0), parent ? parent->proc.name : 0, err));
    if (root) {
        grp->group.root_obj = child->proc.v.obj;
        pv_state_touch(s->state, grp);
    }
    if (!parent)
        return 0;
    pv_state_touch(s->state, parent);
    parent->proc.v.frozen = 1;
    return pv_stitch_edge(s, child->proc.v.node, parent->proc.v.node, PV_R_INFORMED, s->seq, err);
}

static bool starts_with(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

static uint64_t path_flags(const char *path)
{
    static const char *const runtime[] = {"/usr/", "/lib/",  "/lib64/", "/bin/", "/sbin/",
                                          "/etc/", "/proc/", "/dev/",   "/sys/"};
    if (starts_with(path, SECRETS))
        return PV_NF_SECRET;
    for (size_t i = 0; i < sizeof runtime / sizeof *runtime; i++)
        if (starts_with(path, runtime[i]))
            return starts_with(path, "/dev/shm/") ? 0 : PV_NF_RUNTIME;
    return 0;
}

static int on_object(struct pv_stitch *s, struct pv_err *err)
{
    union pv_s_value *v = NULL;
    char type[32], path[PV_PATH_MAX];
    PV_TRY(pv_state_get(s->state, PV_S_OBJDEF, field(s, 0), 0, 0, &v, NULL, err));
    struct pv_s_objdef *d = &v->objdef;
    pv_event_get_text(s->e, "type", type, sizeof type);
    pv_event_get_text(s->e, "path", path, sizeof path);
    d->type = strcmp(type, "pipe") == 0 || strcmp(type, "fifo") == 0 ? TYPE_PIPE
              : strcmp(type, "socket") == 0                          ? TYPE_SOCKET
                                                                     : TYPE_FILE;
    d->dev = field(s, 2);
    d->ino = field(s, 3);
    d->gen = field(s, 4);
    d->flags = d->type == TYPE_FILE ? path_flags(path) : 0;
    /* An instance's /tmp dies with it, and its device number returns with another one. */
    d->is_private =
        d->type != TYPE_FILE || starts_with(path, "/tmp/") || starts_with(path, "/dev/shm/");
    pv_state_touch(s->state, v);
    if (d->flags & PV_NF_SECRET)
        PV_TRY(pv_stitch_intern(s, path + strlen(SECRETS), &d->secret, err));
    return pv_stitch_intern_field(s, "path", &d->name, err);
}

static int on_socket(struct pv_stitch *s, struct pv_err *err)
{
    union pv_s_value *v = NULL;
    char name[PV_PATH_MAX], local[128], remote[128];
    PV_TRY(pv_state_get(s->state, PV_S_OBJDEF, field(s, 0), 0, 0, &v, NULL, err));
    pv_event_get_text(s->e, "local_addr", local, sizeof local);
    pv_event_get_text(s->e, "remote_addr", remote, sizeof remote);
    (void)snprintf(name, sizeof name, "%s:%llu-%s:%llu", local, (unsigned long long)field(s, 3),
                   remote, (unsigned long long)field(s, 5));
    v->objdef.type = TYPE_SOCKET;
    v->objdef.is_private = 1;
    v->objdef.local_port = field(s, 3);
    pv_state_touch(s->state, v);
    return pv_stitch_intern(s, name, &v->objdef.name, err);
}

static int definition(struct pv_stitch *s, uint64_t object, union pv_s_value **ret,
                      struct pv_err *err)
{
    bool is_new = false;
    char name[48];
    PV_TRY(pv_state_get(s->state, PV_S_OBJDEF, object, 0, 0, ret, &is_new, err));
    if (!is_new)
        return 0;
    (void)snprintf(name, sizeof name, "object %llu", (unsigned long long)object);
    (*ret)->objdef.type = TYPE_FILE;
    (*ret)->objdef.is_private = 1; /* nothing is known of it: do not mix instances */
    return pv_stitch_intern(s, name, &(*ret)->objdef.name, err);
}

static int file_entity(struct pv_stitch *s, const struct pv_s_objdef *d, union pv_s_value **ret,
                       struct pv_err *err)
{
    union pv_s_value *secret = NULL;
    bool is_new = false;
    PV_TRY(pv_state_get(s->state, PV_S_FILE, d->dev, d->ino, d->gen, ret, &is_new, err));
    pv_state_touch(s->state, *ret);
    if (!is_new)
        return 0;
    const struct pv_new_object o = {.type = PV_N_FILE, .name = d->name, .flags = d->flags};
    PV_TRY(pv_stitch_object(s, &o, &(*ret)->versions, err));
    if (!d->secret)
        return 0;
    PV_TRY(pv_stitch_named(s, PV_N_SECRET, d->secret, 0, PV_NF_SECRET, &secret, err));
    return pv_stitch_edge(s, (*ret)->versions.node, secret->versions.node, PV_R_DERIVED, s->seq,
                          err);
}

int pv_stitch_file(struct pv_stitch *s, uint64_t dev, uint64_t ino, const char *path,
                   union pv_s_value **ret, struct pv_err *err)
{
    struct pv_s_objdef d = {.type = TYPE_FILE, .dev = dev, .ino = ino, .flags = path_flags(path)};
    PV_TRY(pv_stitch_intern(s, path, &d.name, err));
    if (d.flags & PV_NF_SECRET)
        PV_TRY(pv_stitch_intern(s, path + strlen(SECRETS), &d.secret, err));
    return file_entity(s, &d, ret, err);
}

/* The file or pipe that a process of the present group means by `object`. */
static int entity(struct pv_stitch *s, uint64_t object, const struct pv_s_objdef *d,
                  union pv_s_value **ret, struct pv_err *err)
{
    bool is_new = false;
    if (!d->is_private)
        return file_entity(s, d, ret, err);
    PV_TRY(pv_state_get(s->state, PV_S_PRIVATE, object, s->grp, d->ino, ret, &is_new, err));
    pv_state_touch(s->state, *ret);
    if (!is_new)
        return 0;
    const struct pv_new_object o = {.type = d->type == TYPE_PIPE ? PV_N_PIPE : PV_N_FILE,
                                    .grp = s->grp,
                                    .name = d->name,
                                    .flags = d->flags};
    PV_TRY(pv_stitch_object(s, &o, &(*ret)->versions, err));
    return d->type == TYPE_PIPE ? pv_stitch_link_pipe(s, s->grp, d->ino, object, err) : 0;
}

static int socket_state(struct pv_stitch *s, uint64_t object, const struct pv_s_objdef *d,
                        union pv_s_value **ret, struct pv_err *err)
{
    bool is_new = false;
    PV_TRY(pv_state_get(s->state, PV_S_SOCK, object, s->grp, 0, ret, &is_new, err));
    struct pv_s_sock *k = &(*ret)->sock;
    pv_state_touch(s->state, *ret);
    if (k->name == 0)
        k->name = d->name;
    if (d->local_port)
        return pv_stitch_link_port(s, s->grp, d->local_port, object, err);
    return 0;
}

/* The version of one direction of a socket that this operation belongs to: every change of
 * direction starts a new one, so that exchanges on one connection stay apart. */
static int socket_version(struct pv_stitch *s, uint64_t object, union pv_s_value *sock, int dir,
                          union pv_s_value **ret, struct pv_err *err)
{
    struct pv_s_sock *k = &sock->sock;
    uint64_t *count = dir == PV_SOCK_IN ? &k->n_in : &k->n_out;
    uint64_t mark = dir == PV_SOCK_IN ? 2 : 1;
    if (*count > 0 && k->last_dir == mark)
        return pv_state_find(s->state, PV_S_SOCKVER, object, s->grp,
                             pv_sockver_key(dir, *count - 1), ret, err);
    k->last_dir = mark;
    struct pv_s_versions v;
    const struct pv_new_object o = {.type = dir == PV_SOCK_IN ? PV_N_SOCKET_IN : PV_N_SOCKET_OUT,
                                    .grp = s->grp,
                                    .name = k->name};
    PV_TRY(pv_state_get(s->state, PV_S_SOCKVER, object, s->grp, pv_sockver_key(dir, *count), ret,
                        NULL, err));
    PV_TRY(pv_stitch_object(s, &o, &v, err));
    (*ret)->sockver.node = v.node;
    (*ret)->sockver.first_ns = s->e->time_ns;
    ++*count;
    return 0;
}

static int socket_io(struct pv_stitch *s, uint64_t object, const struct pv_s_objdef *d,
                     struct pv_s_versions *p, int dir, struct pv_err *err)
{
    union pv_s_value *sock = NULL, *ver = NULL;
    PV_TRY(socket_state(s, object, d, &sock, err));
    PV_TRY(socket_version(s, object, sock, dir, &ver, err));
    ver->sockver.last_ns = s->e->time_ns;
    pv_state_touch(s->state, ver);
    uint64_t node = ver->sockver.node;
    if (dir == PV_SOCK_IN) {
        PV_TRY(pv_stitch_open_version(s, p, err));
        PV_TRY(pv_stitch_edge(s, p->node, node, PV_R_USED, s->seq, err));
    } else {
        p->frozen = 1;
        PV_TRY(pv_stitch_edge(s, node, p->node, PV_R_GENERATED, s->seq, err));
    }
    return pv_stitch_link_io(s, &sock->sock, dir == PV_SOCK_IN, node, s->e->time_ns, err);
}

static int reads(struct pv_stitch *s, uint64_t object, struct pv_s_versions *p,
                 enum pv_relation rel, struct pv_err *err)
{
    union pv_s_value *def = NULL, *x = NULL;
    PV_TRY(definition(s, object, &def, err));
    if (def->objdef.type == TYPE_SOCKET)
        return socket_io(s, object, &def->objdef, p, PV_SOCK_IN, err);
    PV_TRY(entity(s, object, &def->objdef, &x, err));
    PV_TRY(pv_stitch_open_version(s, p, err));
    x->versions.frozen = 1;
    return pv_stitch_edge(s, p->node, x->versions.node, rel, s->seq, err);
}

/* What left on stdout or stderr after its payload was linked belongs to the payload as well. */
static int revise_written(struct pv_stitch *s, struct pv_s_versions *x, struct pv_err *err)
{
    union pv_s_value *grp = NULL;
    struct pv_s_inv *inv = NULL;
    if (!x->frozen)
        return 0;
    PV_TRY(pv_stitch_revise(s, x, 0, err));
    if (x->role < 2)
        return 0;
    PV_TRY(pv_stitch_group_by_id(s, s->grp, &grp, err));
    if (!grp || !(grp->group.linked & 1ull << (x->role - 1)))
        return 0;
    PV_TRY(pv_invs_by_id(s->invs, grp->group.inv, &inv, err));
    if (!inv)
        return 0;
    uint64_t payload = x->role == 2 ? inv->response : inv->log;
    return pv_stitch_edge(s, payload, x->node, PV_R_DERIVED, s->seq, err);
}

static int writes(struct pv_stitch *s, uint64_t object, struct pv_s_versions *p, struct pv_err *err)
{
    union pv_s_value *def = NULL, *x = NULL;
    PV_TRY(definition(s, object, &def, err));
    if (def->objdef.type == TYPE_SOCKET)
        return socket_io(s, object, &def->objdef, p, PV_SOCK_OUT, err);
    if (def->objdef.flags & PV_NF_RUNTIME)
        return 0; /* /dev/null, /proc/self/…: nobody reads there what was written */
    PV_TRY(entity(s, object, &def->objdef, &x, err));
    PV_TRY(revise_written(s, &x->versions, err));
    p->frozen = 1;
    return pv_stitch_edge(s, x->versions.node, p->node, PV_R_GENERATED, s->seq, err);
}

static int on_exec(struct pv_stitch *s, struct pv_s_proc *p, struct pv_err *err)
{
    PV_TRY(pv_stitch_intern_field(s, "path", &p->name, err));
    PV_TRY(pv_stitch_revise(s, &p->v, p->name, err));
    return field(s, 1) ? reads(s, field(s, 1), &p->v, PV_R_EXECUTED, err) : 0;
}

/* Something a process tried and was refused, or did to names: an entity it generated. */
static int attempt(struct pv_stitch *s, struct pv_s_proc *p, const char *text,
                   enum pv_node_type type, uint64_t *ret_node, struct pv_err *err)
{
    struct pv_s_versions v;
    uint64_t name = 0;
    PV_TRY(pv_stitch_intern(s, text, &name, err));
    const struct pv_new_object o = {
        .type = type, .grp = s->grp, .name = name, .flags = type == PV_N_DENIED ? PV_NF_DENIED : 0};
    PV_TRY(pv_stitch_object(s, &o, &v, err));
    p->v.frozen = 1;
    if (ret_node)
        *ret_node = v.node;
    return pv_stitch_edge(s, v.node, p->v.node, PV_R_GENERATED, s->seq, err);
}

static bool refused(uint64_t result)
{
    int e = abs((int)(int64_t)result);
    return e == EPERM || e == EACCES || e == EROFS;
}

static int on_path_op(struct pv_stitch *s, struct pv_s_proc *p, struct pv_err *err)
{
    char op[32], path[400], to[400], text[900];
    if (field(s, 4) != 0 && !refused(field(s, 4)))
        return 0; /* it failed for another reason: nothing has changed */
    pv_event_get_text(s->e, "op", op, sizeof op);
    pv_event_get_text(s->e, "path", path, sizeof path);
    pv_event_get_text(s->e, "new_path", to, sizeof to);
    (void)snprintf(text, sizeof text, "%s %s%s%s", op, path, *to ? " → " : "", to);
    return attempt(s, p, text, field(s, 4) ? PV_N_DENIED : PV_N_PATH_OP, NULL, err);
}

/* The kernel's word for what was done to which object. */
static int on_name_op(struct pv_stitch *s, struct pv_s_proc *p, struct pv_err *err)
{
    union pv_s_value *def = NULL, *x = NULL;
    char op[32], path[400], to[400], text[900];
    uint64_t op_node = 0;
    pv_event_get_text(s->e, "op", op, sizeof op);
    pv_event_get_text(s->e, "path", path, sizeof path);
    pv_event_get_text(s->e, "new_path", to, sizeof to);
    (void)snprintf(text, sizeof text, "%s %s%s%s", op, path, *to ? " → " : "", to);
    PV_TRY(attempt(s, p, text, PV_N_PATH_OP, &op_node, err));
    PV_TRY(definition(s, field(s, 1), &def, err));
    if (!field(s, 1) || def->objdef.type == TYPE_SOCKET)
        return 0;
    PV_TRY(entity(s, field(s, 1), &def->objdef, &x, err));
    x->versions.frozen = 1;
    return pv_stitch_edge(s, op_node, x->versions.node, PV_R_DERIVED, s->seq, err);
}

/* A signal, or how a child ended: the other process knows what this one did. */
static int on_influence(struct pv_stitch *s, struct pv_s_proc *p, struct pv_err *err)
{
    union pv_s_value *target = NULL;
    p->v.frozen = 1;
    PV_TRY(process(s, field(s, 1), &target, err));
    PV_TRY(pv_stitch_open_version(s, &target->proc.v, err));
    return pv_stitch_edge(s, target->proc.v.node, p->v.node, PV_R_INFORMED, s->seq, err);
}

static int on_connect(struct pv_stitch *s, struct pv_s_proc *p, struct pv_err *err)
{
    union pv_s_value *def = NULL, *sock = NULL;
    char addr[128], text[200];
    int result = (int)field(s, 5);
    PV_TRY(definition(s, field(s, 1), &def, err));
    if (result == 0 || result == EINPROGRESS || result == -EINPROGRESS) {
        if (def->objdef.type == TYPE_SOCKET)
            PV_TRY(socket_state(s, field(s, 1), &def->objdef, &sock, err));
        return 0;
    }
    pv_event_get_text(s->e, "addr", addr, sizeof addr);
    (void)snprintf(text, sizeof text, "connect %s:%llu", addr, (unsigned long long)field(s, 4));
    return attempt(s, p, text, PV_N_DENIED, NULL, err);
}

static int on_open(struct pv_stitch *s, struct pv_s_proc *p, struct pv_err *err)
{
    /* Opening alone moves no bytes; truncating does. */
    return field(s, 2) & O_TRUNC ? writes(s, field(s, 1), &p->v, err) : 0;
}

static int on_denied(struct pv_stitch *s, struct pv_s_proc *p, const char *what, uint64_t number,
                     struct pv_err *err)
{
    char text[96];
    (void)snprintf(text, sizeof text, "%s %llu", what, (unsigned long long)number);
    return attempt(s, p, text, PV_N_DENIED, NULL, err);
}

static int on_process_event(struct pv_stitch *s, struct pv_s_proc *p, struct pv_err *err)
{
    switch ((unsigned)s->e->kind) {
    case PV_K_PROC_EXEC:
        return on_exec(s, p, err);
    case PV_K_OPEN:
        return on_open(s, p, err);
    case PV_K_READ:
        return reads(s, field(s, 1), &p->v, PV_R_USED, err);
    case PV_K_WRITE:
        return writes(s, field(s, 1), &p->v, err);
    case PV_K_MAP_EXEC:
        return reads(s, field(s, 1), &p->v, PV_R_LOADED, err);
    case PV_K_PATH_OP:
        return on_path_op(s, p, err);
    case PV_K_NAME_OP:
        return on_name_op(s, p, err);
    case PV_K_INFLUENCE:
        return on_influence(s, p, err);
    case PV_K_CONNECT:
        return on_connect(s, p, err);
    case PV_K_ATTEMPT_DENIED:
        return on_denied(s, p, "system call", field(s, 1), err);
    case PV_K_INTERFERENCE:
        return on_denied(s, p, "interference by system call", field(s, 1), err);
    case PV_K_FOREIGN_ENTRY:
        return on_denied(s, p, "foreign entry, system call", field(s, 2), err);
    default:
        return 0; /* exit, totals, accept, credentials: no new dependency; the event is kept */
    }
}

int pv_stitch_outside(struct pv_stitch *s, struct pv_err *err)
{
    union pv_s_value *p = NULL;
    switch ((unsigned)s->e->kind) {
    case PV_K_PROC_FORK:
        return on_fork(s, err);
    case PV_K_OBJECT:
        return on_object(s, err);
    case PV_K_SOCKET:
        return on_socket(s, err);
    default:
        PV_TRY(process(s, field(s, 0), &p, err));
        return on_process_event(s, &p->proc, err);
    }
}
