#include "microvm.h"

#include "pv/clock.h"
#include "pv/host.h"
#include "pv/own.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>

/* A path may be longer than an event: then its beginning is recorded. Paths of all accesses of a
 * run together are bounded, the rest is counted. */
enum { PATH_BYTES_MAX = 4096, RUN_BYTES_MAX = 256 << 10 };
/* A start opens every module of a large program, once for all runs. */
enum { START_ACCESSES = 64 << 10, START_BYTES_MAX = 8 << 20 };

/* --- on the slot's thread --- */

static void lock(struct pv_microvm_slot *slot)
{
    (void)pthread_mutex_lock(&slot->lock);
}

static void unlock(struct pv_microvm_slot *slot)
{
    (void)pthread_mutex_unlock(&slot->lock);
}

static void on_diagnostic(void *ctx, const void *p, size_t len)
{
    struct pv_microvm_slot *slot = ctx;

    pv_buf_raw(&slot->errors, p, len);
}

static const char *name_of(const struct pv_vm_event *e)
{
    switch (e->kind) {
    case PV_VM_EVENT_OPEN:
        return "open";
    case PV_VM_EVENT_READ:
        return "read";
    case PV_VM_EVENT_WRITE:
        return "write";
    case PV_VM_EVENT_CHANGE:
        return e->what;
    case PV_VM_EVENT_CONNECT:
        return "connect";
    case PV_VM_EVENT_DENIED:
        return "denied";
    case PV_VM_EVENT_RANDOM:
        return "random";
    case PV_VM_EVENT_CLOCK:
        return "clock";
    case PV_VM_EVENT_FAULT:
        return "fault";
    case PV_VM_EVENT_UNKNOWN:
        return "unknown-call";
    }
    return "other";
}

/* The object, or where there is none what else there is to say. */
static const char *object_of(const struct pv_vm_event *e)
{
    const char *call;

    if (e->kind == PV_VM_EVENT_FAULT ||
        (e->kind == PV_VM_EVENT_DENIED && (!e->path || !e->path[0])))
        return e->what;
    if (e->kind == PV_VM_EVENT_UNKNOWN) {
        call = pv_vm_call_name((uint64_t)e->result);
        return call ? call : "";
    }
    return e->path ? e->path : "";
}

/* Its memory stays: giving some back to the kernel costs a running VM its shadow page tables. */
static int make_room(struct pv_accesses *l, unsigned most)
{
    unsigned cap = l->cap ? l->cap * 2 : 16;
    struct pv_access *v;

    if (l->n < l->cap)
        return 0;
    if (cap > most)
        return -E2BIG;
    v = realloc(l->v, cap * sizeof *v);
    if (!v)
        return -ENOMEM;
    l->v = v;
    l->cap = cap;
    return 0;
}

static int add_access(struct pv_accesses *l, unsigned most, size_t most_bytes,
                      const struct pv_vm_event *e)
{
    struct pv_access *a;
    const char *object = object_of(e);
    size_t len = strnlen(object, PATH_BYTES_MAX);
    char *path;

    if (l->run_bytes + len > most_bytes || make_room(l, most) < 0)
        return -E2BIG;
    path = strndup(object, len);
    if (!path)
        return -ENOMEM;
    l->run_bytes += len;
    a = &l->v[l->n++];
    *a = (struct pv_access){.path = path,
                            .dev = e->device,
                            .ino = e->inode,
                            .size = e->size,
                            .flags = e->flags,
                            .result = e->result,
                            .time_ns = pv_now_real_ns()};
    strncpy(a->what, name_of(e), sizeof a->what - 1);
    return 0;
}

/* Its own message says at best that there is no memory or that a limit is reached. */
static void hint(struct pv_microvm_slot *slot, const struct pv_vm_event *e)
{
    static const char text[] = "provost: a micro-VM has one process and starts no other programs: "
                               "deploy with --class process\n";

    if (slot->misfit[0] || e->kind != PV_VM_EVENT_DENIED || !pv_starts_program(e->what))
        return;
    strncpy(slot->misfit, e->what, sizeof slot->misfit - 1);
    pv_buf_raw(&slot->errors, text, sizeof text - 1);
}

static void count(const struct pv_microvm_slot *slot, int64_t by)
{
    _Atomic uint64_t *n = slot->domain->base.unrecorded;

    if (n)
        atomic_fetch_add(n, (uint64_t)by);
}

static void on_event(void *ctx, const struct pv_vm_event *e)
{
    struct pv_microvm_slot *slot = ctx;

    hint(slot, e);
    count(slot, 1);
    lock(slot);
    if (add_access(&slot->noted, PV_MICROVM_ACCESSES, RUN_BYTES_MAX, e) < 0)
        slot->noted.lost++;
    unlock(slot);
}

static bool is_loopback(int family, const char *address)
{
    struct in_addr v4;
    struct in6_addr v6;

    if (family == AF_INET)
        return inet_pton(AF_INET, address, &v4) == 1 && ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, address, &v6) == 1 &&
           (IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && v6.s6_addr[12] == 127));
}

static int offer(struct pv_microvm_slot *slot, enum pv_broker broker, int fd)
{
    static const uint64_t one = 1;
    bool room;

    lock(slot);
    room = slot->n_connections < PV_MICROVM_CONNECTIONS;
    if (room) {
        slot->connections[slot->n_connections].fd = fd;
        slot->connections[slot->n_connections++].broker = broker;
    }
    unlock(slot);
    (void)!write(slot->domain->bell, &one, sizeof one);
    return room ? 0 : -ECONNREFUSED;
}

/* As in a network namespace that has loopback only, with the two brokers listening there. */
static int on_connect(void *ctx, int family, const char *address, uint16_t port)
{
    struct pv_microvm_slot *slot = ctx;
    int pair[2], rc;

    if (!is_loopback(family, address))
        return -ENETUNREACH;
    if (port != PV_BROKER_GATEWAY_PORT && port != PV_BROKER_PROXY_PORT)
        return -ECONNREFUSED;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    rc = offer(slot, port == PV_BROKER_GATEWAY_PORT ? PV_BROKER_GATEWAY : PV_BROKER_PROXY, pair[1]);
    if (rc == 0)
        return pair[0];
    (void)close(pair[0]);
    (void)close(pair[1]);
    return rc;
}

void pv_microvm_hooks(struct pv_microvm_slot *slot)
{
    slot->hooks = (struct pv_vm_hooks){
        .ctx = slot, .diagnostic = on_diagnostic, .connect = on_connect, .event = on_event};
}

static void on_start_event(void *ctx, const struct pv_vm_event *e)
{
    struct pv_microvm_domain *d = ctx;

    if (add_access(&d->start, START_ACCESSES, START_BYTES_MAX, e) < 0)
        d->start.lost++;
}

void pv_microvm_start_hooks(struct pv_microvm_domain *d, struct pv_vm_hooks *ret)
{
    *ret = (struct pv_vm_hooks){.ctx = d, .event = on_start_event};
}

static void clear(struct pv_accesses *l)
{
    for (unsigned a = 0; a < l->n; a++)
        free(l->v[a].path);
    l->n = 0;
    l->lost = 0;
    l->run_bytes = 0;
}

void pv_microvm_start_forget(struct pv_microvm_domain *d)
{
    clear(&d->start);
}

/* --- on the owner's --- */

static struct pv_microvm_slot *slot_of(const struct pv_domain *d, unsigned slot)
{
    return &((const struct pv_microvm_domain *)d)->slots[slot];
}

int pv_microvm_accept(struct pv_domain *d, unsigned slot, enum pv_broker broker, uint16_t *ret_port)
{
    struct pv_microvm_slot *s = slot_of(d, slot);
    int fd = -1;

    *ret_port = 0;
    lock(s);
    for (unsigned i = 0; i < s->n_connections && fd < 0; i++) {
        if (s->connections[i].broker != broker)
            continue;
        fd = s->connections[i].fd;
        memmove(&s->connections[i], &s->connections[i + 1],
                (--s->n_connections - i) * sizeof s->connections[0]);
    }
    unlock(s);
    return fd;
}

static void visit_lost(uint64_t lost, void (*visit)(void *ctx, const struct pv_access *a),
                       void *ctx)
{
    char nothing[1] = "";
    struct pv_access note = {
        .what = "lost", .path = nothing, .size = lost, .time_ns = pv_now_real_ns()};

    visit(ctx, &note);
}

void pv_microvm_accesses(struct pv_instance *i, void (*visit)(void *ctx, const struct pv_access *a),
                         void *ctx)
{
    struct pv_microvm_slot *s = slot_of(i->domain, i->slot);
    struct pv_accesses *l = &s->shown, taken;

    lock(s);
    taken = s->noted;
    s->noted = *l;
    s->noted.run_bytes = taken.run_bytes; /* goes on until the run ends */
    *l = taken;
    unlock(s);
    for (unsigned a = 0; a < l->n; a++) {
        visit(ctx, &l->v[a]);
        free(l->v[a].path);
    }
    if (l->lost)
        visit_lost(l->lost, visit, ctx);
    count(s, -(int64_t)(l->n + l->lost));
    l->n = 0;
    l->lost = 0;
}

void pv_microvm_forget(struct pv_microvm_slot *slot)
{
    lock(slot);
    clear(&slot->noted); /* but they count as unrecorded, and are */
    while (slot->n_connections)
        (void)close(slot->connections[--slot->n_connections].fd);
    unlock(slot);
}
