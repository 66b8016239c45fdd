#include "calls/host.h"

#include "calls/shim.h"
#include "pv/clock.h"
#include "pv/own.h"
#include "pv/size.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/random.h>

enum { STREAM_OUT = 1, OUT_START = 4096, LENGTH_HEADER_MAX = 64 << 10 };

/* ---- stdin ---- */

/* The next piece of the body that is not read yet; NULL at the end. */
static struct iovec *next_piece(struct pv_vm *vm, struct iovec *space)
{
    const struct pv_vm_call *c = vm->call;

    if (vm->rest.iov_len)
        return &vm->rest;
    for (; vm->span < c->n_body; vm->span++, vm->span_at = 0) {
        const struct iovec *b = &c->body[vm->span];

        if (vm->span_at == b->iov_len)
            continue;
        *space = (struct iovec){(char *)b->iov_base + vm->span_at, b->iov_len - vm->span_at};
        return space;
    }
    return NULL;
}

static size_t take_piece(struct pv_vm *vm, void *to, size_t room)
{
    struct iovec space;
    struct iovec *piece = next_piece(vm, &space);

    if (!piece)
        return 0;
    size_t len = piece->iov_len < room ? piece->iov_len : room;
    memcpy(to, piece->iov_base, len);
    if (piece == &vm->rest)
        vm->rest = (struct iovec){(char *)piece->iov_base + len, piece->iov_len - len};
    else
        vm->span_at += len;
    return len;
}

static int64_t read_body(struct pv_vm *vm, const struct iovec *iov, int n)
{
    int64_t sum = 0;

    pv_shim_unstage(vm);

    for (int i = 0; i < n; i++) {
        char *to = iov[i].iov_base;
        size_t room = iov[i].iov_len;

        for (size_t len; room && (len = take_piece(vm, to, room)) > 0; room -= len) {
            to += len;
            sum += (int64_t)len;
        }
    }
    pv_shim_stage(vm);
    return sum;
}

static int64_t ask_input(struct pv_vm *vm, const struct iovec *iov, int n)
{
    for (int i = 0; i < n; i++) {
        if (!iov[i].iov_len)
            continue;
        ssize_t got = vm->call->input(vm->call->input_ctx, iov[i].iov_base, iov[i].iov_len);

        if (got == -EINTR || got == -EAGAIN) {
            vm->input_waits = true;
            return PV_FILES_WAIT;
        }
        return got;
    }
    return 0;
}

static int64_t on_read(void *ctx, int stream, const struct iovec *iov, int n)
{
    struct pv_vm *vm = ctx;

    (void)stream;
    if (vm->phase == PV_VM_STARTING) {
        vm->reached_read = true;
        return PV_FILES_WAIT;
    }
    if (!vm->call)
        return 0;
    return vm->call->input ? ask_input(vm, iov, n) : read_body(vm, iov, n);
}

/* ---- stdout, stderr ---- */

static int collect(struct pv_vm *vm, const void *p, size_t len)
{
    if (vm->out_cap - vm->out_len < len) {
        size_t cap = vm->out_cap ? vm->out_cap : OUT_START;

        while (cap - vm->out_len < len)
            cap *= 2;
        uint8_t *q = realloc(vm->out, cap);
        if (!q)
            return -ENOMEM;
        vm->out = q;
        vm->out_cap = cap;
    }
    memcpy(vm->out + vm->out_len, p, len);
    vm->out_len += len;
    return 0;
}

/* Where a response ends that announces its length: behind its header and so many bytes; 0: not
 * known yet. The header's lines end in a newline, with or without a carriage return. */
static uint64_t announced_end(const uint8_t *out, size_t len)
{
    static const char name[] = "content-length:";
    uint64_t length = 0;
    bool found = false;

    if (len > LENGTH_HEADER_MAX)
        len = LENGTH_HEADER_MAX;
    for (size_t at = 0; at < len;) {
        const uint8_t *line = out + at;
        const uint8_t *end = memchr(line, '\n', len - at);

        if (!end)
            return 0;
        size_t n = (size_t)(end - line);
        at += n + 1;
        if (n == 0 || (n == 1 && *line == '\r'))
            return found ? at + length : 0;
        if (n >= sizeof name - 1 && !strncasecmp((const char *)line, name, sizeof name - 1)) {
            found = true;
            for (size_t i = sizeof name - 1; i < n; i++)
                if (line[i] >= '0' && line[i] <= '9' && length < UINT32_MAX)
                    length = length * 10 + (uint64_t)(line[i] - '0');
        }
    }
    return 0;
}

/* Whether what was written so far is all of a response. */
static bool complete(struct pv_vm *vm, const struct iovec *iov, int n)
{
    if (vm->finish == PV_VM_FINISH_NEWLINE) {
        for (int i = n; i-- > 0;)
            if (iov[i].iov_len)
                return ((const char *)iov[i].iov_base)[iov[i].iov_len - 1] == '\n';
        return false;
    }
    if (vm->finish != PV_VM_FINISH_LENGTH || vm->hooks.output)
        return false;
    if (!vm->content_length)
        vm->content_length = announced_end(vm->out, vm->out_len);
    return vm->content_length && vm->out_len >= vm->content_length;
}

/* What we cannot keep ends the run: a program may not look at what its write returned, and a
 * response that has lost a part is none. */
static int keep(struct pv_vm *vm, const struct iovec *v)
{
    int rc = collect(vm, v->iov_base, v->iov_len);

    if (rc < 0)
        pv_vm_finish_run(vm, PV_VM_MEMORY, 0, "a part of the output could not be kept: %s",
                         strerror(-rc));
    return rc;
}

/* What is shown as it is written is shown up to the limit. */
static void exceed(struct pv_vm *vm, const struct iovec *v)
{
    uint64_t over = vm->out_total - vm->limits.output_bytes;
    char size[PV_SIZE_TEXT];

    if (vm->hooks.output && v->iov_len > over)
        (void)vm->hooks.output(vm->hooks.ctx, v->iov_base, v->iov_len - over);
    pv_vm_finish_run(vm, PV_VM_OUTPUT, 0, "more than %s of output",
                     pv_size_text(vm->limits.output_bytes, size));
}

static int64_t on_output(struct pv_vm *vm, const struct iovec *iov, int n)
{
    int64_t sum = 0;

    for (int i = 0; i < n; i++) {
        vm->out_total += iov[i].iov_len;
        if (vm->out_total > vm->limits.output_bytes) {
            exceed(vm, &iov[i]);
            return -EFBIG;
        }
        int rc = vm->hooks.output ? vm->hooks.output(vm->hooks.ctx, iov[i].iov_base, iov[i].iov_len)
                                  : keep(vm, &iov[i]);
        if (rc < 0)
            return sum ? sum : rc;
        sum += (int64_t)iov[i].iov_len;
    }
    if (vm->phase == PV_VM_RUNNING && complete(vm, iov, n))
        pv_vm_finish_run(vm, PV_VM_FINISHED, 0, "%s", "");
    return sum;
}

static int64_t on_diagnostic(struct pv_vm *vm, const struct iovec *iov, int n)
{
    int64_t sum = 0;

    for (int i = 0; i < n; i++) {
        size_t len = iov[i].iov_len;

        sum += (int64_t)len;
        if (len > vm->limits.stderr_bytes - vm->err_total)
            len = (size_t)(vm->limits.stderr_bytes - vm->err_total);
        vm->err_total += len;
        if (len && vm->hooks.diagnostic)
            vm->hooks.diagnostic(vm->hooks.ctx, iov[i].iov_base, len);
    }
    return sum;
}

static int64_t on_write(void *ctx, int stream, const struct iovec *iov, int n)
{
    return stream == STREAM_OUT ? on_output(ctx, iov, n) : on_diagnostic(ctx, iov, n);
}

/* ---- the world ---- */

static int on_connect(void *ctx, int type, const struct sockaddr *address, socklen_t len)
{
    struct pv_vm *vm = ctx;
    char text[INET6_ADDRSTRLEN] = "";
    const void *from;
    uint16_t port;

    (void)len;
    if (!vm->hooks.connect || type != SOCK_STREAM)
        return -EACCES;
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *in = (const void *)address;
        from = &in->sin_addr;
        port = ntohs(in->sin_port);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *in = (const void *)address;
        from = &in->sin6_addr;
        port = ntohs(in->sin6_port);
    } else {
        return -EACCES;
    }
    if (!inet_ntop(address->sa_family, from, text, sizeof text))
        return -EINVAL;
    return vm->hooks.connect(vm->hooks.ctx, address->sa_family, text, port);
}

static void on_random(void *ctx, void *buf, size_t len)
{
    struct pv_vm *vm = ctx;

    if (!vm->told_random)
        pv_vm_tell(vm, PV_VM_EVENT_RANDOM, "", "", 0);
    vm->told_random = true;
    arc4random_buf(buf, len);
}

static int on_now(void *ctx, clockid_t clock, struct timespec *ret)
{
    struct pv_vm *vm = ctx;

    switch (clock) {
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID: {
        (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, ret);
        uint64_t ns = (uint64_t)ret->tv_sec * PV_NS_PER_S + (uint64_t)ret->tv_nsec;
        ns = ns > vm->cpu_start_ns ? ns - vm->cpu_start_ns : 0;
        *ret = (struct timespec){(time_t)(ns / PV_NS_PER_S), (long)(ns % PV_NS_PER_S)};
        return 0;
    }
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_TAI:
        if (!vm->told_clock)
            pv_vm_tell(vm, PV_VM_EVENT_CLOCK, "", "", 0);
        vm->told_clock = true;
        break;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_BOOTTIME_ALARM:
        break;
    default:
        return -EINVAL;
    }
    return clock_gettime(clock, ret) < 0 ? -errno : 0;
}

/* ---- events ---- */

static enum pv_vm_event_kind kind_of(enum pv_files_event_kind kind)
{
    switch (kind) {
    case PV_FILES_OPEN:
        return PV_VM_EVENT_OPEN;
    case PV_FILES_FIRST_READ:
        return PV_VM_EVENT_READ;
    case PV_FILES_FIRST_WRITE:
        return PV_VM_EVENT_WRITE;
    case PV_FILES_CONNECT:
        return PV_VM_EVENT_CONNECT;
    case PV_FILES_DENIED:
        return PV_VM_EVENT_DENIED;
    case PV_FILES_NAME:
    case PV_FILES_MAKE:
    case PV_FILES_REMOVE:
    case PV_FILES_RENAME:
    case PV_FILES_ALTER:
    default:
        return PV_VM_EVENT_CHANGE;
    }
}

static void on_event(void *ctx, const struct pv_files_event *e)
{
    struct pv_vm *vm = ctx;
    struct pv_vm_event out = {.kind = kind_of(e->kind),
                              .what = e->call ? e->call : "",
                              .path = e->path,
                              .device = e->dev,
                              .inode = e->ino,
                              .size = e->size_bytes,
                              .flags = e->flags,
                              .result = e->result};
    char address[INET6_ADDRSTRLEN] = "";
    char text[INET6_ADDRSTRLEN + 16];

    if (!vm->hooks.event || e->kind == PV_FILES_NAME)
        return;
    if (e->kind == PV_FILES_CONNECT && (e->family == AF_INET || e->family == AF_INET6)) {
        (void)inet_ntop(e->family, e->address, address, sizeof address);
        (void)snprintf(text, sizeof text, "%s:%u", address, e->port);
        out.path = text;
    }
    vm->hooks.event(vm->hooks.ctx, &out);
}

/* ---- /proc ---- */

static int64_t guest_text(struct pv_vm *vm, uint64_t at, uint64_t len, char *buf, size_t cap)
{
    uint64_t n = len < cap ? len : cap;

    return pv_copy_in(&vm->space, buf, at, n) < 0 ? -EIO : (int64_t)len;
}

static int64_t status_text(struct pv_vm *vm, char *buf, size_t cap)
{
    return snprintf(buf, cap,
                    "Name:\t%s\nUmask:\t0022\nState:\tR (running)\nTgid:\t%d\nPid:\t%d\nPPid:\t0\n"
                    "TracerPid:\t0\nUid:\t%u\t%u\t%u\t%u\nGid:\t%u\t%u\t%u\t%u\nFDSize:\t64\n"
                    "VmPeak:\t%llu kB\nVmSize:\t%llu kB\nVmRSS:\t%llu kB\nThreads:\t%u\n"
                    "Cpus_allowed:\t1\nCpus_allowed_list:\t0\n",
                    vm->program.name, PV_PID, PV_PID, vm->process.uid, vm->process.uid,
                    vm->process.uid, vm->process.uid, vm->process.gid, vm->process.gid,
                    vm->process.gid, vm->process.gid,
                    (unsigned long long)pv_space_bytes(&vm->space) / 1024,
                    (unsigned long long)pv_space_bytes(&vm->space) / 1024,
                    (unsigned long long)vm->memory.n_used * PV_PAGE / 1024, vm->process.n_threads);
}

/* proc(5): 52 numbers, of which a program here can use few. */
static int64_t stat_text(struct pv_vm *vm, char *buf, size_t cap)
{
    return snprintf(buf, cap,
                    "%d (%s) R 0 %d %d 0 -1 4194304 0 0 0 0 0 0 0 0 20 0 %u 0 0 %llu %llu "
                    "18446744073709551615 0 0 %llu 0 0 0 0 0 0 0 0 0 17 0 0 0 0 0 0 0 0 %llu %llu "
                    "%llu %llu %llu 0\n",
                    PV_PID, vm->program.name, PV_PID, PV_PID, vm->process.n_threads,
                    (unsigned long long)pv_space_bytes(&vm->space),
                    (unsigned long long)vm->memory.n_used, (unsigned long long)vm->program.stack,
                    (unsigned long long)vm->space.brk_start, (unsigned long long)vm->program.args,
                    (unsigned long long)vm->program.args + vm->program.args_len,
                    (unsigned long long)vm->program.env,
                    (unsigned long long)vm->program.env + vm->program.env_len);
}

static int64_t on_proc(void *ctx, enum pv_files_proc what, char *buf, size_t cap)
{
    struct pv_vm *vm = ctx;
    const struct pv_program *p = &vm->program;
    size_t len = p->n_auxv * sizeof *p->auxv;

    switch (what) {
    case PV_FILES_PROC_MAPS:
        return (int64_t)pv_space_maps(&vm->space, buf, cap);
    case PV_FILES_PROC_CMDLINE:
        return guest_text(vm, p->args, p->args_len, buf, cap);
    case PV_FILES_PROC_ENVIRON:
        return guest_text(vm, p->env, p->env_len, buf, cap);
    case PV_FILES_PROC_AUXV:
        memcpy(buf, p->auxv, len < cap ? len : cap);
        return (int64_t)len;
    case PV_FILES_PROC_STAT:
        return stat_text(vm, buf, cap);
    case PV_FILES_PROC_STATUS:
        return status_text(vm, buf, cap);
    case PV_FILES_PROC_STATM:
        return snprintf(buf, cap, "%llu %llu 0 0 0 0 0\n",
                        (unsigned long long)pv_space_bytes(&vm->space) / PV_PAGE,
                        (unsigned long long)vm->memory.n_used);
    case PV_FILES_PROC_COMM:
        return snprintf(buf, cap, "%s\n", p->name);
    default:
        return -ENOENT;
    }
}

void pv_host_callbacks(struct pv_vm *vm)
{
    vm->files_host = (struct pv_files_host){.read = on_read,
                                            .write = on_write,
                                            .connect = on_connect,
                                            .random = on_random,
                                            .now = on_now,
                                            .event = on_event,
                                            .proc = on_proc};
}
