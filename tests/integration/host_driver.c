#include "host_driver.h"

#include "pv/io.h"
#include "pv/measure.h"
#include "pv/own.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum { HOST_UID = 64321, WAIT_MS = 20000 };

static void must(int rc, const struct pv_err *err)
{
    if (rc >= 0)
        return;
    fprintf(stderr, "driver: %s\n", err->text);
    abort();
}

static void write_to(const char *dir, const char *name, uint64_t value)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    if (!f)
        return;
    fprintf(f, "%llu", (unsigned long long)value);
    fclose(f);
}

/* The v1 groups a supervisor would have made; mode 0 where this machine has none. */
static void put_cgroups(struct host_driver *d, const struct pv_spec *spec, bool cgroups,
                        struct pv_msg *m)
{
    static const char *const names[] = {"memory", "pids", "cpu"};
    bool v1 = cgroups && access("/sys/fs/cgroup/memory/memory.limit_in_bytes", F_OK) == 0;

    pv_buf_u8(&m->body, v1 ? 1 : 0);
    pv_buf_u8(&m->body, 1);
    pv_buf_u8(&m->body, d->microvm);
    pv_buf_u8(&m->body, 0); /* nobody has looked at the machine */
    pv_buf_str(&m->body, d->unfit);
    for (unsigned slot = 0; !d->microvm && slot < d->n_slots; slot++)
        for (unsigned i = 0; i < 3; i++) {
            char path[512];

            if (v1) {
                snprintf(d->cgroups[i], sizeof d->cgroups[i], "/sys/fs/cgroup/%s/provost-test-%d",
                         names[i], (int)getpid());
                mkdir(d->cgroups[i], 0755);
                snprintf(path, sizeof path, "%s/slot%u", d->cgroups[i], slot);
                mkdir(path, 0755);
                if (i == 0)
                    write_to(path, "memory.limit_in_bytes", spec->memory_bytes);
                if (i == 1)
                    write_to(path, "pids.max", spec->processes);
                if (i == 2 && spec->cpu_millis)
                    write_to(path, "cpu.cfs_quota_us", spec->cpu_millis * 100);
            }
        }
    for (unsigned i = 0; !d->microvm && i < 3; i++)
        pv_buf_str(&m->body, d->cgroups[i]);
}

static void drop_cgroups(struct host_driver *d)
{
    char path[512];

    for (unsigned i = 0; i < 3; i++) {
        for (unsigned slot = 0; d->cgroups[i][0] && slot < d->n_slots; slot++) {
            snprintf(path, sizeof path, "%s/slot%u", d->cgroups[i], slot);
            rmdir(path);
        }
        if (d->cgroups[i][0])
            rmdir(d->cgroups[i]);
    }
}

static _Noreturn void become_host(const char *host, int control, int bell)
{
    int c = fcntl(control, F_DUPFD, 100), b = fcntl(bell, F_DUPFD, 100);

    dup2(c, PV_ROLE_CONTROL_FD);
    dup2(b, PV_ROLE_BELL_FD);
    close_range(5, ~0u, 0);
    execl(host, "provost-host", (char *)NULL);
    _exit(126);
}

static void say_watched(struct host_driver *d)
{
    static const uint8_t none[PV_DOMAIN_ID_BYTES];
    pv_automsg struct pv_msg m;
    struct pv_err err = PV_ERR_INIT;

    pv_msg_init(&m, PV_AUDIT_WATCHED);
    pv_buf_raw(&m.body, none, sizeof none);
    must(pv_msg_send(d->control, &m, &err), &err);
}

/* A sealed host waits to be watched, which is the auditor's affair. */
static void answer_control(struct host_driver *d)
{
    pv_automsg struct pv_msg m = {0};
    struct pv_err err = PV_ERR_INIT;

    if (pv_msg_recv(d->control, &m, &err) <= 0) {
        fprintf(stderr, "driver: the host is gone: %s\n", err.text);
        abort();
    }
    struct pv_reader r = pv_msg_reader(&m);
    if (m.type == PV_HOST_SEALED)
        say_watched(d);
    else if (m.type == PV_HOST_UNFIT)
        pv_read_str(&r, d->unfit, sizeof d->unfit);
}

static void await_mode(struct host_driver *d)
{
    struct pv_err err = PV_ERR_INIT;

    while (!d->mode[0] && !(d->microvm && d->unfit[0])) {
        pv_automsg struct pv_msg m = {0};
        struct pollfd p[] = {{d->data, POLLIN, 0}, {d->control, POLLIN, 0}};

        if (poll(p, 2, WAIT_MS) > 0 && p[1].revents) {
            answer_control(d);
            continue;
        }
        if (!p[0].revents || pv_msg_recv(d->data, &m, &err) <= 0) {
            fprintf(stderr, "driver: the host said nothing: %s\n", err.text);
            abort();
        }
        struct pv_reader r = pv_msg_reader(&m);
        if (m.type == PV_HOST_READY)
            pv_read_str(&r, d->mode, sizeof d->mode);
        else if (m.type == PV_HOST_FAILED)
            snprintf(d->mode, sizeof d->mode, "failed");
        else
            continue;
        pv_read_str(&r, d->reason, sizeof d->reason);
    }
}

static void put_start(struct host_driver *d, const char *package, struct pv_spec *spec,
                      bool cgroups, int data, int ring, const struct pv_domain_id *domain,
                      struct pv_msg *m)
{
    pv_autobuf struct pv_buf encoded;
    struct pv_role_start start = {.domain = *domain, .name = "host:test@1"};
    struct pv_err err = PV_ERR_INIT;
    char log[] = "/tmp/provost-host-log-XXXXXX";
    int log_fd = mkostemp(log, O_APPEND | O_CLOEXEC);
    int package_fd = open(package, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    unlink(log);
    must(pv_package_measure(package_fd, spec->package, &err), &err);
    d->log = fcntl(log_fd, F_DUPFD_CLOEXEC, 0);
    pv_msg_init(m, PV_ROLE_START);
    memset(start.k0, 5, sizeof start.k0);
    pv_role_start_put(m, &start);
    pv_buf_init(&encoded, PV_SPEC_MAX);
    must(pv_spec_encode(spec, &encoded, &err), &err);
    pv_buf_bytes(&m->body, encoded.data, encoded.len);
    pv_buf_u32(&m->body, HOST_UID);
    pv_buf_u32(&m->body, HOST_UID);
    pv_buf_u32(&m->body, d->n_slots);
    put_cgroups(d, spec, cgroups, m);
    pv_msg_put_fd(m, ring);
    pv_msg_put_fd(m, data);
    pv_msg_put_fd(m, log_fd);
    pv_msg_put_fd(m, package_fd);
    pv_msg_put_fd(m, open(package, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

static void start_once(struct host_driver *d, const char *host, const char *package,
                       struct pv_spec *spec, bool cgroups)
{
    struct pv_domain_id domain = pv_domain_id_new();
    pv_automsg struct pv_msg m = {0}, tracing = {0};
    struct pv_err err = PV_ERR_INIT;
    char dir[] = "/tmp/provost-host-test-XXXXXX";
    int control[2], data[2], bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    must(pv_crypto_init(&err), &err);
    must(pv_msg_pair(control, &err), &err);
    must(pv_msg_pair(data, &err), &err);
    if (!mkdtemp(dir))
        abort();
    pv_autoclose int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int ring = pv_ring_create(dir_fd, "ring", &domain, &err);
    must(ring, &err);
    must(pv_ring_reader_open(&d->ring, fcntl(ring, F_DUPFD_CLOEXEC, 0), &err), &err);
    unlinkat(dir_fd, "ring", 0);
    rmdir(dir);
    put_start(d, package, spec, cgroups, data[1], ring, &domain, &m);
    d->pid = fork();
    if (d->pid == 0)
        become_host(host, control[1], bell);
    close(control[1]);
    close(bell);
    d->control = control[0];
    d->data = data[0];
    must(pv_msg_send(d->control, &m, &err), &err);
    pv_msg_init(&tracing, PV_AUDIT_TRACING);
    pv_buf_raw(&tracing.body, domain.bytes, sizeof domain.bytes);
    must(pv_msg_send(d->control, &tracing, &err), &err);
    pv_msg_done(&m); /* the host's copies are its own */
    await_mode(d);
}

void driver_start(struct host_driver *d, const char *host, const char *package,
                  struct pv_spec *spec, bool cgroups)
{
    *d = (struct host_driver){.n_slots = spec->concurrency,
                              .microvm = spec->class != PV_CLASS_PROCESS &&
                                         access("/dev/kvm", R_OK | W_OK) == 0};
    start_once(d, host, package, spec, cgroups);
    if (d->mode[0])
        return;
    if (driver_stop(d) != 0)
        abort();
    d->microvm = false;
    memset(d->n_events, 0, sizeof d->n_events); /* the second host's alone */
    start_once(d, host, package, spec, cgroups);
}

struct pv_call_id driver_invoke(struct host_driver *d, const char *env, size_t env_len,
                                const void *body, size_t body_len, uint64_t timeout_ms)
{
    struct pv_call_id call = pv_call_id_new();
    pv_automsg struct pv_msg m;
    struct pv_err err = PV_ERR_INIT;

    pv_msg_init(&m, PV_HOST_INVOKE);
    pv_buf_raw(&m.body, call.bytes, sizeof call.bytes);
    pv_buf_u64(&m.body, timeout_ms);
    pv_buf_bytes(&m.body, env, env_len);
    must(pv_msg_put_payload(&m, body, body_len, &err), &err);
    must(pv_msg_send(d->data, &m, &err), &err);
    return call;
}

static void read_result(struct pv_msg *m, struct host_result *ret)
{
    struct pv_reader r = pv_msg_reader(m);
    struct pv_payload body = {0};
    struct pv_err err = PV_ERR_INIT;
    unsigned fd_index = 0;

    memcpy(ret->call.bytes, pv_read_raw(&r, PV_CALL_ID_BYTES), PV_CALL_ID_BYTES);
    ret->outcome = pv_read_u16(&r);
    ret->exit_code = pv_read_u32(&r);
    ret->signal = pv_read_u32(&r);
    ret->duration_ns = pv_read_u64(&r);
    ret->cpu_ns = pv_read_u64(&r);
    ret->peak_bytes = pv_read_u64(&r);
    pv_read_str(&r, ret->message, sizeof ret->message);
    must(pv_msg_get_payload(m, &r, &fd_index, PV_RESPONSE_MAX, &body, &err), &err);
    must(pv_reader_end(&r, "result", &err), &err);
    ret->body_len = body.len;
    size_t kept = body.len < sizeof ret->body - 1 ? body.len : sizeof ret->body - 1;
    if (kept)
        memcpy(ret->body, body.data, kept);
    ret->body[kept] = 0;
    pv_payload_done(&body);
}

bool driver_result_within(struct host_driver *d, int wait_ms, struct host_result *ret)
{
    struct pv_err err = PV_ERR_INIT;

    for (;;) {
        pv_automsg struct pv_msg m = {0};
        struct pollfd p = {d->data, POLLIN, 0};

        if (poll(&p, 1, wait_ms) != 1)
            return false;
        if (pv_msg_recv(d->data, &m, &err) <= 0) {
            fprintf(stderr, "driver: the host is gone: %s\n", err.text);
            abort();
        }
        if (m.type == PV_HOST_RESULT) {
            read_result(&m, ret);
            return true;
        }
        if (m.type == PV_HOST_CONNECTION) {
            pv_autoclose int fd = pv_msg_take_fd(&m, 0);
            struct pollfd asks = {fd, POLLIN, 0};
            char ping[4];

            /* one that asks before the answer is there would find the connection closed */
            if (poll(&asks, 1, 100) == 1)
                (void)!read(fd, ping, sizeof ping);
            must(pv_write_all(fd, "pong", 4, &err), &err);
        }
    }
}

void driver_result(struct host_driver *d, struct host_result *ret)
{
    if (driver_result_within(d, WAIT_MS, ret))
        return;
    fprintf(stderr, "driver: no result\n");
    abort();
}

void driver_cancel(struct host_driver *d, const struct pv_call_id *call)
{
    pv_automsg struct pv_msg m;
    struct pv_err err = PV_ERR_INIT;

    pv_msg_init(&m, PV_HOST_CANCEL);
    pv_buf_raw(&m.body, call->bytes, sizeof call->bytes);
    must(pv_msg_send(d->data, &m, &err), &err);
}

void driver_scale(struct host_driver *d, uint32_t prepared)
{
    pv_automsg struct pv_msg m;
    struct pv_err err = PV_ERR_INIT;
    uint32_t told = 0;

    pv_msg_init(&m, PV_HOST_SCALE);
    pv_buf_u32(&m.body, prepared);
    must(pv_msg_send(d->data, &m, &err), &err);
    while (told != prepared) {
        pv_automsg struct pv_msg counts = {0};
        struct pollfd p = {d->data, POLLIN, 0};

        if (poll(&p, 1, WAIT_MS) != 1 || pv_msg_recv(d->data, &counts, &err) <= 0) {
            fprintf(stderr, "driver: %u instances prepared, not %u: %s\n", told, prepared,
                    err.text);
            abort();
        }
        struct pv_reader r = pv_msg_reader(&counts);
        if (counts.type == PV_HOST_COUNTS)
            told = pv_read_u32(&r);
    }
}

void driver_events(struct host_driver *d)
{
    struct pv_ring_record record;
    struct pv_err err = PV_ERR_INIT;
    struct pv_event e;
    uint64_t last = 0;

    while (pv_ring_reader_next(d->ring, &record, &err) == 1) {
        must(pv_event_decode(record.event, record.event_len, &e, &err), &err);
        d->n_events[e.kind]++;
        last = e.dseq + 1;
    }
    if (last)
        pv_ring_reader_release(d->ring, last);
}

int driver_stop(struct host_driver *d)
{
    pv_automsg struct pv_msg m;
    struct pv_err err = PV_ERR_INIT;
    int status = -1;

    pv_msg_init(&m, PV_ROLE_DRAIN);
    (void)!pv_msg_send(d->control, &m, &err); /* a test may have killed it */
    if (waitpid(d->pid, &status, 0) != d->pid)
        abort();
    driver_events(d);
    pv_ring_reader_free(d->ring);
    close(d->control);
    close(d->data);
    close(d->log);
    drop_cgroups(d);
    return status;
}
