#include "probe_translate.h"

#include "probe_monitor.h"
#include "probe_text.h"
#include "pv/clock.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>
#include <unistd.h>

/* Errors come back as small negative numbers; anything else is success. */
static uint64_t errno_of(int64_t result)
{
    return result < 0 && result > -4096 ? (uint64_t)-result : 0;
}

static int from_fork(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_fork *r = rec;

    (void)texts;
    pv_event_u64(e, r->head.proc);
    pv_event_u64(e, r->parent);
    pv_event_u64(e, r->host_pid);
    pv_event_u64(e, r->pid);
    /* as in field 22 of /proc/PID/stat */
    pv_event_u64(e, r->start_ns / (PV_NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK)));
    pv_event_u64(e, r->cgroup);
    return 0;
}

static int from_exec(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_exec *r = rec;

    if (r->argv_bytes > sizeof r->argv ||
        offsetof(struct pv_bpf_exec, text) + r->path_bytes != r->head.bytes ||
        !pv_probe_path(r->text, r->path_bytes, r->path_cut, texts->a, sizeof texts->a))
        return -EBADMSG;
    pv_event_u64(e, r->head.proc);
    pv_event_u64(e, r->head.object);
    pv_event_text(e, texts->a);
    pv_event_bytes(e, r->argv, r->argv_bytes);
    return 0;
}

static int from_exit(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_exit *r = rec;

    (void)texts;
    pv_event_u64(e, r->head.proc);
    pv_event_u64(e, r->code);
    pv_event_u64(e, r->signal);
    return 0;
}

static int from_object(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_object *r = rec;
    const char *type = NULL;

    if (offsetof(struct pv_bpf_object, text) + r->path_bytes != r->head.bytes ||
        !pv_probe_path(r->text, r->path_bytes, r->path_cut, texts->a, sizeof texts->a))
        return -EBADMSG;
    type = pv_probe_object_type(r);
    if (strcmp(type, "pipe") == 0 || strcmp(type, "socket") == 0)
        snprintf(texts->a, sizeof texts->a, "%s:[%llu]", type, (unsigned long long)r->ino);
    pv_event_u64(e, r->head.object);
    pv_event_text(e, type);
    pv_event_u64(e, makedev(r->dev >> 20, r->dev & 0xfffff));
    pv_event_u64(e, r->ino);
    pv_event_u64(e, r->gen);
    pv_event_text(e, texts->a);
    return 0;
}

static int from_socket(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_socket *r = rec;

    pv_probe_address(r->family, r->local, texts->a, sizeof texts->a);
    pv_probe_address(r->family, r->remote, texts->b, sizeof texts->b);
    if (r->family == AF_UNIX && r->peer_ino)
        snprintf(texts->b, sizeof texts->b, "socket:[%llu]", (unsigned long long)r->peer_ino);
    pv_event_u64(e, r->head.object);
    pv_event_u64(e, r->family);
    pv_event_text(e, texts->a);
    pv_event_u64(e, r->local_port);
    pv_event_text(e, texts->b);
    pv_event_u64(e, r->remote_port);
    return 0;
}

static int from_open(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_open *r = rec;

    (void)texts;
    pv_event_u64(e, r->head.proc);
    pv_event_u64(e, r->head.object);
    pv_event_u64(e, r->flags);
    pv_event_u64(e, (uint64_t)r->fd);
    return 0;
}

static int from_io(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_io *r = rec;

    (void)texts;
    pv_event_u64(e, r->head.proc);
    pv_event_u64(e, r->head.object);
    pv_event_u64(e, r->n_bytes);
    return 0;
}

static int from_total(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_total *r = rec;

    (void)texts;
    pv_event_u64(e, r->head.proc);
    pv_event_u64(e, r->head.object);
    pv_event_u64(e, r->read_ops);
    pv_event_u64(e, r->read_bytes);
    pv_event_u64(e, r->write_ops);
    pv_event_u64(e, r->write_bytes);
    return 0;
}

/* name (with its NUL, or empty) after its directory. */
static bool join(const pv_u8 *name, size_t name_bytes, const pv_u8 *base, size_t base_bytes,
                 unsigned how, char *out, size_t cap)
{
    size_t n = 0;

    out[0] = 0;
    if (name_bytes && name[name_bytes - 1] != 0)
        return false;
    if (base_bytes || !name_bytes) {
        if (!pv_probe_path(base, base_bytes, how, out, cap))
            return false;
        if (!base_bytes)
            out[0] = 0;
        n = strlen(out);
    }
    /* pieces never fill it: PV_BPF_TEXT_MAX bytes and some slashes */
    if (name_bytes > 1)
        snprintf(out + n, cap - n, "%s%.*s", n ? "/" : "", (int)(name_bytes - 1),
                 (const char *)name);
    return true;
}

static int from_path_op(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_path_op *r = rec;
    const pv_u8 *name = r->text;
    uint64_t text = (uint64_t)r->name_bytes + r->base_bytes + r->name2_bytes + r->base2_bytes;

    if (offsetof(struct pv_bpf_path_op, text) + text != r->head.bytes)
        return -EBADMSG;
    const pv_u8 *base = name + r->name_bytes;
    const pv_u8 *name2 = base + r->base_bytes;
    const pv_u8 *base2 = name2 + r->name2_bytes;
    if (!join(name, r->name_bytes, base, r->base_bytes, r->cut & 15, texts->a, sizeof texts->a) ||
        !join(name2, r->name2_bytes, base2, r->base2_bytes, r->cut >> 4, texts->b, sizeof texts->b))
        return -EBADMSG;
    pv_event_u64(e, r->head.proc);
    pv_event_text(e, pv_probe_op_name(r->head.sysno));
    pv_event_text(e, texts->a);
    pv_event_text(e, texts->b);
    pv_event_u64(e, errno_of(r->head.result));
    return 0;
}

static int net_fields(const struct pv_bpf_net *r, struct pv_probe_texts *texts, struct pv_event *e)
{
    if (r->path_bytes > sizeof r->path)
        return -EBADMSG;
    pv_probe_address(r->family, r->addr, texts->a, sizeof texts->a);
    if (r->family == AF_UNIX && r->path_bytes) {
        size_t n = r->path_bytes;

        /* as in /proc/net/unix: an abstract name starts with @ */
        memcpy(texts->a, r->path, n);
        texts->a[n] = 0;
        if (texts->a[0] == 0)
            texts->a[0] = '@';
    }
    pv_event_u64(e, r->head.proc);
    pv_event_u64(e, r->head.object);
    pv_event_u64(e, r->family);
    pv_event_text(e, texts->a);
    pv_event_u64(e, r->port);
    return 0;
}

static int from_connect(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_net *r = rec;

    PV_TRY(net_fields(r, texts, e));
    pv_event_u64(e, errno_of(r->head.result));
    return 0;
}

static int from_accept(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    return net_fields(rec, texts, e);
}

static int from_map_exec(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_args *r = rec;

    (void)texts;
    pv_event_u64(e, r->head.proc);
    pv_event_u64(e, r->head.object);
    pv_event_u64(e, r->arg0);
    return 0;
}

static int from_denied(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_args *r = rec;

    (void)texts;
    pv_event_u64(e, r->head.proc);
    pv_event_u64(e, r->head.sysno);
    pv_event_u64(e, errno_of(r->head.result));
    return 0;
}

static int from_interference(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_args *r = rec;

    (void)texts;
    pv_event_u64(e, r->head.proc);
    pv_event_u64(e, r->head.sysno);
    pv_event_u64(e, r->arg0);
    pv_event_u64(e, r->arg1);
    pv_event_u64(e, errno_of(r->head.result));
    return 0;
}

static int from_credentials(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_args *r = rec;

    (void)texts;
    pv_event_u64(e, r->head.proc);
    pv_event_u64(e, r->head.sysno);
    pv_event_u64(e, r->arg0);
    pv_event_u64(e, errno_of(r->head.result));
    return 0;
}

static int from_foreign(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_args *r = rec;
    const char *entry = r->arg0 == PV_BPF_ENTRY_COMPAT    ? "compat"
                        : r->arg0 == PV_BPF_ENTRY_X32     ? "x32"
                        : r->arg0 == PV_BPF_ENTRY_UNKNOWN ? "unknown"
                                                          : "io_uring";

    (void)texts;
    pv_event_u64(e, r->head.proc);
    pv_event_text(e, entry);
    pv_event_u64(e, r->head.sysno);
    pv_event_u64(e, errno_of(r->head.result));
    return 0;
}

static int from_name_op(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_name_op *r = rec;

    if (offsetof(struct pv_bpf_name_op, text) + (uint64_t)r->path_bytes + r->new_bytes !=
            r->head.bytes ||
        !pv_probe_path(r->text, r->path_bytes, r->cut & 15, texts->a, sizeof texts->a) ||
        !pv_probe_path(r->text + r->path_bytes, r->new_bytes, r->cut >> 4, texts->b,
                       sizeof texts->b))
        return -EBADMSG;
    if (!r->new_bytes)
        texts->b[0] = 0;
    pv_event_u64(e, r->head.proc);
    pv_event_u64(e, r->head.object);
    pv_event_text(e, r->replaced ? "replaced" : pv_probe_op_name(r->head.sysno));
    pv_event_text(e, texts->a);
    pv_event_text(e, texts->b);
    return 0;
}

static int from_influence(const void *rec, struct pv_probe_texts *texts, struct pv_event *e)
{
    const struct pv_bpf_args *r = rec;

    (void)texts;
    pv_event_u64(e, r->head.proc);
    pv_event_u64(e, r->arg0);
    pv_event_text(e, r->arg1 ? "proc-file" : r->head.sysno ? "signal" : "end");
    return 0;
}

/* A fixed record has exactly that many bytes, one with text at least. */
static const struct shape {
    enum pv_kind kind;
    size_t bytes;
    bool has_text;
    int (*fill)(const void *rec, struct pv_probe_texts *texts, struct pv_event *e);
} shapes[PV_BPF_KINDS_END] = {
    [PV_BPF_FORK] = {PV_K_PROC_FORK, sizeof(struct pv_bpf_fork), false, from_fork},
    [PV_BPF_EXEC] = {PV_K_PROC_EXEC, offsetof(struct pv_bpf_exec, text), true, from_exec},
    [PV_BPF_EXIT] = {PV_K_PROC_EXIT, sizeof(struct pv_bpf_exit), false, from_exit},
    [PV_BPF_OBJECT] = {PV_K_OBJECT, offsetof(struct pv_bpf_object, text), true, from_object},
    [PV_BPF_SOCKET] = {PV_K_SOCKET, sizeof(struct pv_bpf_socket), false, from_socket},
    [PV_BPF_OPEN] = {PV_K_OPEN, sizeof(struct pv_bpf_open), false, from_open},
    [PV_BPF_READ] = {PV_K_READ, sizeof(struct pv_bpf_io), false, from_io},
    [PV_BPF_WRITE] = {PV_K_WRITE, sizeof(struct pv_bpf_io), false, from_io},
    [PV_BPF_TOTAL] = {PV_K_IO_TOTAL, sizeof(struct pv_bpf_total), false, from_total},
    [PV_BPF_PATH_OP] = {PV_K_PATH_OP, offsetof(struct pv_bpf_path_op, text), true, from_path_op},
    [PV_BPF_CONNECT] = {PV_K_CONNECT, sizeof(struct pv_bpf_net), false, from_connect},
    [PV_BPF_ACCEPT] = {PV_K_ACCEPT, sizeof(struct pv_bpf_net), false, from_accept},
    [PV_BPF_MAP_EXEC] = {PV_K_MAP_EXEC, sizeof(struct pv_bpf_args), false, from_map_exec},
    [PV_BPF_DENIED] = {PV_K_ATTEMPT_DENIED, sizeof(struct pv_bpf_args), false, from_denied},
    [PV_BPF_INTERFERENCE] = {PV_K_INTERFERENCE, sizeof(struct pv_bpf_args), false,
                             from_interference},
    [PV_BPF_CREDENTIALS] = {PV_K_CREDENTIALS, sizeof(struct pv_bpf_args), false, from_credentials},
    [PV_BPF_FOREIGN] = {PV_K_FOREIGN_ENTRY, sizeof(struct pv_bpf_args), false, from_foreign},
    [PV_BPF_NAME_OP] = {PV_K_NAME_OP, offsetof(struct pv_bpf_name_op, text), true, from_name_op},
    [PV_BPF_INFLUENCE] = {PV_K_INFLUENCE, sizeof(struct pv_bpf_args), false, from_influence},
    [PV_BPF_ALARM] = {PV_K_MONITOR_ALARM, offsetof(struct pv_bpf_monitor, text), true,
                      pv_probe_from_alarm},
    [PV_BPF_MONITOR_OPEN] = {PV_K_MONITOR_OPEN, offsetof(struct pv_bpf_monitor, text), true,
                             pv_probe_from_monitor_open},
};

void pv_probe_gap(uint32_t cpu, uint64_t first, uint64_t count, struct pv_event *ret)
{
    pv_event_init(ret, PV_K_GAP, NULL);
    pv_event_text(ret, "ebpf");
    pv_event_u64(ret, cpu);
    pv_event_u64(ret, first);
    pv_event_u64(ret, count);
}

int pv_probe_translate(const void *rec, size_t len, int64_t real_minus_boot,
                       struct pv_probe_texts *texts, struct pv_event *ret, struct pv_err *err)
{
    const struct pv_bpf_head *h = rec;
    const struct shape *shape = NULL;

    if (len < sizeof *h || h->bytes != len || h->version != PV_BPF_VERSION)
        return pv_refuse(err, EBADMSG, "probe record of %zu bytes has no valid head", len);
    if (h->kind >= PV_BPF_KINDS_END || !shapes[h->kind].fill)
        return pv_refuse(err, EBADMSG, "probe record of unknown kind %u", h->kind);
    shape = &shapes[h->kind];
    if (len < shape->bytes || (!shape->has_text && len != shape->bytes) ||
        len > shape->bytes + PV_BPF_TEXT_MAX + 256)
        return pv_refuse(err, EBADMSG, "probe record of kind %u has %zu bytes", h->kind, len);
    pv_event_init_at(ret, shape->kind, NULL, h->time_ns + (uint64_t)real_minus_boot);
    if (shape->fill(rec, texts, ret) < 0)
        return pv_refuse(err, EBADMSG, "probe record of kind %u has malformed text", h->kind);
    return 0;
}
