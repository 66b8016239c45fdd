#include "hosts.h"

#include "pv/clock.h"
#include "pv/log.h"
#include "pv/own.h"
#include "pv/role.h"
#include "pv/vm.h"
#include "roles.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { HOST_UIDS = 60000, ORPHAN_LIMIT_MS = 3000, STOP_MARGIN_MS = 5000, STOP_LIMIT_MS = 60000 };

static struct pv_role *gateway(struct pv_supervisor *s)
{
    return &s->roles[PV_ROLE_GATEWAY];
}

void pv_gateway_done(struct pv_supervisor *s, uint64_t tag, int rc, const char *text)
{
    pv_automsg struct pv_msg m;

    pv_msg_init(&m, PV_SUP_DONE);
    pv_buf_u64(&m.body, tag);
    pv_buf_u32(&m.body, (uint32_t)-rc);
    pv_buf_str(&m.body, text);
    pv_role_send(gateway(s), &m);
}

/* Takes data_fd; it is not sent with an error. */
static void tell_started(struct pv_supervisor *s, uint64_t tag, int rc, const char *text,
                         const struct pv_spec *spec, pid_t pid, int data_fd)
{
    pv_automsg struct pv_msg m;

    pv_msg_init(&m, PV_SUP_HOST_STARTED);
    pv_buf_u64(&m.body, tag);
    pv_buf_u32(&m.body, (uint32_t)-rc);
    pv_buf_str(&m.body, text);
    pv_buf_str(&m.body, spec ? spec->name : "");
    pv_buf_u64(&m.body, spec ? spec->version : 0);
    pv_buf_u64(&m.body, (uint64_t)pid);
    if (data_fd >= 0)
        pv_msg_put_fd(&m, data_fd);
    pv_role_send(gateway(s), &m);
}

static void tell_exited(struct pv_supervisor *s, const struct pv_host *h, int status)
{
    pv_automsg struct pv_msg m;

    pv_msg_init(&m, PV_SUP_HOST_EXITED);
    pv_buf_str(&m.body, h->spec.name);
    pv_buf_u64(&m.body, h->spec.version);
    pv_buf_u64(&m.body, pv_role_status(status));
    pv_role_send(gateway(s), &m);
}

static void host_free(struct pv_host *h)
{
    if (!h)
        return;
    pv_spec_done(&h->spec);
    pv_buf_done(&h->spec_bytes);
    pv_channel_done(&h->role.channel);
    free(h);
}
PV_DEFINE_CLEANUP(struct pv_host, host_free)

/* Freshly counted, so that a user id comes back as late as possible. */
static uid_t next_uid(struct pv_supervisor *s)
{
    for (;;) {
        uid_t uid = s->config.uid_base + PV_USER_HOSTS + s->host_counter++ % HOST_UIDS;
        bool used = false;

        for (const struct pv_host *h = s->hosts; h; h = h->next)
            used = used || h->role.uid == uid;
        if (!used)
            return uid;
    }
}

static int open_log(struct pv_supervisor *s, const struct pv_host *h, struct pv_err *err)
{
    char name[PV_NAME_MAX + 8], old[PV_NAME_MAX + 16];
    gid_t readers = s->config.uid_base + PV_USER_GATEWAY;
    struct stat st;
    pv_autoclose int fd = -1;

    snprintf(name, sizeof name, "%s.log", h->spec.name);
    snprintf(old, sizeof old, "%s.log.1", h->spec.name);
    if (fstatat(s->state.functions, name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
        (uint64_t)st.st_size > PV_LOG_FILE_MAX)
        (void)renameat(s->state.functions, name, s->state.functions, old);
    fd = openat(s->state.functions, name, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
                0640);
    if (fd < 0 || fchown(fd, 0, readers) != 0 || fchmod(fd, 0640) != 0)
        return pv_fail(err, errno, "open the log of function '%s'", h->spec.name);
    return PV_TAKE_FD(fd);
}

static int open_package(struct pv_supervisor *s, const struct pv_host *h, struct pv_err *err)
{
    char name[2 * PV_HASH_BYTES + 1];
    int fd;

    pv_hex(h->spec.package, sizeof h->spec.package, name);
    fd = openat(s->state.packages, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT)
        return pv_refuse(err, ENOENT, "the package %s of function '%s' is missing; deploy it again",
                         name, h->spec.name);
    if (fd < 0)
        return pv_fail(err, errno, "open the package %s of function '%s'", name, h->spec.name);
    return fd;
}

static struct pv_host *host_of(struct pv_role *r)
{
    return (struct pv_host *)(void *)((char *)r - offsetof(struct pv_host, role));
}

bool pv_host_wants_microvm(const struct pv_host *h)
{
    return h->spec.class == PV_CLASS_MICROVM ||
           (h->spec.class == PV_CLASS_AUTO && h->spec.prepare == PV_PREPARE_AUTO && !h->unfit[0]);
}

/* What is known before it is tried. */
static int look_at_fitness(struct pv_supervisor *s, struct pv_host *h, struct pv_err *err)
{
    struct pv_err why = PV_ERR_INIT;

    if (!pv_host_wants_microvm(h))
        return 0;
    /* KVM may have come after us */
    bool missing = !s->machine && pv_vm_stand_by(&s->machine, &why) < 0;
    if (missing && h->spec.class == PV_CLASS_MICROVM)
        return pv_refuse(err, ENOTSUP, "no micro-VM can run on this machine: %.255s", why.text);
    if (missing)
        snprintf(h->unfit, sizeof h->unfit, "%.255s", why.text);
    return 0;
}

static void put_slots(struct pv_supervisor *s, const struct pv_host *h, struct pv_msg *m)
{
    char path[PV_PATH_MAX];

    pv_buf_u32(&m->body, h->spec.concurrency);
    pv_buf_u8(&m->body, (uint8_t)s->cgroups.mode);
    pv_buf_u8(&m->body, s->config.audit);
    pv_buf_u8(&m->body, pv_host_wants_microvm(h));
    pv_buf_u8(&m->body, s->machine);
    pv_buf_str(&m->body, h->unfit);
    for (unsigned i = 0; !pv_host_wants_microvm(h) && i < PV_CG_COUNT; i++) {
        pv_cgroup_group_path(&s->cgroups, h->group, (enum pv_controller)i, path);
        pv_buf_str(&m->body, path);
    }
}

static int fill_host(struct pv_supervisor *s, struct pv_role *r, struct pv_msg *m,
                     struct pv_err *err)
{
    struct pv_host *h = host_of(r);
    int log, package;

    pv_buf_bytes(&m->body, h->spec_bytes.data, h->spec_bytes.len);
    pv_buf_u32(&m->body, r->uid);
    pv_buf_u32(&m->body, r->uid);
    put_slots(s, h, m);
    pv_msg_put_fd(m, PV_TAKE_FD(h->host_end));
    log = open_log(s, h, err);
    PV_TRY(log);
    pv_msg_put_fd(m, log);
    package = open_package(s, h, err);
    PV_TRY(package);
    pv_msg_put_fd(m, package);
    pv_msg_put_fd(m, pv_role_fresh_dir(s->state.secrets));
    PV_TRY(pv_cgroup_adopt(&s->cgroups, h->group, r->pid, err));
    return pv_buf_check(&m->body, "start message of a host", err);
}

static int make_group(struct pv_supervisor *s, struct pv_host *h, struct pv_err *err)
{
    struct pv_cgroup_limits l = {.memory_bytes = h->spec.memory_bytes,
                                 .processes = h->spec.processes,
                                 .cpu_millis = h->spec.cpu_millis,
                                 .n_slots = pv_host_wants_microvm(h) ? 0 : h->spec.concurrency};

    if (s->cgroups.mode == PV_CGROUP_NONE)
        return 0;
    snprintf(h->group, sizeof h->group, "%s-%llu.%u", h->spec.name,
             (unsigned long long)h->spec.version, s->group_counter++);
    /* Nothing in the request could change that, whatever it is. */
    return pv_cgroup_create(&s->cgroups, h->group, &l, h->role.uid, err) < 0 ? -EIO : 0;
}

static void drop_group(struct pv_supervisor *s, struct pv_host *h)
{
    struct pv_dead_group *dead;

    if (!h->group[0])
        return;
    if (!pv_cgroup_remove(&s->cgroups, h->group)) {
        dead = calloc(1, sizeof *dead);
        if (dead) {
            memcpy(dead->group, h->group, sizeof dead->group);
            dead->next = s->dead_groups;
            s->dead_groups = dead;
        }
    }
    h->group[0] = '\0';
}

/* Returns the gateway's end of the data socket. */
static int launch(struct pv_supervisor *s, struct pv_host *h, struct pv_err *err)
{
    int pair[2], rc;
    pv_autoclose int gateway_end = -1;

    PV_TRY(make_group(s, h, err));
    rc = pv_msg_pair(pair, err);
    if (rc == 0) {
        h->host_end = pair[0];
        gateway_end = pair[1];
        rc = pv_role_launch(s, &h->role, h->measurement, fill_host, err);
        if (h->host_end >= 0)
            (void)close(PV_TAKE_FD(h->host_end));
    }
    if (rc < 0 && h->role.pid == 0)
        drop_group(s, h);
    PV_TRY(rc);
    return PV_TAKE_FD(gateway_end);
}

static struct pv_host *find_host(struct pv_supervisor *s, const char *name, uint64_t version)
{
    for (struct pv_host *h = s->hosts; h; h = h->next)
        if (!h->leaving && h->spec.version == version && strcmp(h->spec.name, name) == 0)
            return h;
    return NULL;
}

static int check_start(struct pv_supervisor *s, const struct pv_host *new, struct pv_err *err)
{
    unsigned n = 0;

    if (pv_supervisor_stopping(s))
        return pv_refuse(err, ESHUTDOWN, "provostd is stopping");
    for (const struct pv_host *h = s->hosts; h; h = h->next)
        n++;
    if (n >= PV_FUNCTIONS_MAX)
        return pv_refuse(err, EMFILE, "more than %d function versions", PV_FUNCTIONS_MAX);
    if (find_host(s, new->spec.name, new->spec.version))
        return pv_refuse(err, EEXIST, "version %llu of function '%s' is running",
                         (unsigned long long)new->spec.version, new->spec.name);
    return 0;
}

static int check_secrets(const struct pv_supervisor *s, const struct pv_spec *spec,
                         struct pv_err *err)
{
    for (unsigned i = 0; i < spec->secrets.n; i++)
        if (faccessat(s->state.secrets, spec->secrets.v[i], R_OK, 0) < 0)
            return pv_refuse(err, ENOENT,
                             "there is no secret '%s'; create it with 'provost secret create %s'",
                             spec->secrets.v[i], spec->secrets.v[i]);
    return 0;
}

static int new_host(struct pv_supervisor *s, const uint8_t *spec, size_t len, struct pv_host **ret,
                    struct pv_err *err)
{
    PV_CLEANUP(host_free) struct pv_host *h = calloc(1, sizeof *h);
    char name[128];

    if (!h)
        return pv_fail(err, ENOMEM, "start a host");
    h->host_end = -1;
    pv_spec_init(&h->spec);
    pv_buf_init(&h->spec_bytes, PV_SPEC_MAX);
    pv_role_init(&h->role, PV_ROLE_HOST, "", 0);
    PV_TRY(pv_spec_decode(spec, len, &h->spec, err));
    PV_TRY(check_start(s, h, err));
    PV_TRY(check_secrets(s, &h->spec, err));
    pv_buf_raw(&h->spec_bytes, spec, len);
    PV_TRY(pv_buf_check(&h->spec_bytes, "specification", err));
    pv_sha256(spec, len, h->measurement);
    snprintf(name, sizeof name, "host:%s@%llu", h->spec.name, (unsigned long long)h->spec.version);
    pv_role_init(&h->role, PV_ROLE_HOST, name, next_uid(s));
    PV_TRY(look_at_fitness(s, h, err));
    h->role.hold = h->spec.loss == PV_LOSS_FREEZE;
    *ret = PV_TAKE_PTR(h);
    return 0;
}

static void unlink_host(struct pv_supervisor *s, const struct pv_host *h)
{
    for (struct pv_host **at = &s->hosts; *at; at = &(*at)->next)
        if (*at == h) {
            *at = h->next;
            return;
        }
}

void pv_host_start(struct pv_supervisor *s, uint64_t tag, const uint8_t *spec, size_t len)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_host *h = NULL;
    int rc = new_host(s, spec, len, &h, &err);

    if (rc < 0 || !h) {
        tell_started(s, tag, rc, err.text, NULL, 0, -1);
        return;
    }
    h->next = s->hosts;
    s->hosts = h;
    rc = launch(s, h, &err);
    if (rc >= 0) {
        tell_started(s, tag, 0, "", &h->spec, h->role.pid, rc);
        return;
    }
    tell_started(s, tag, rc, err.text, &h->spec, 0, -1);
    h->leaving = true;
    if (h->role.pid == 0) {
        unlink_host(s, h);
        host_free(h);
    }
}

static bool restart(struct pv_supervisor *s, struct pv_host *h)
{
    struct pv_err err = PV_ERR_INIT;
    int fd = launch(s, h, &err);

    if (fd >= 0) {
        tell_started(s, 0, 0, "", &h->spec, h->role.pid, fd);
        return true;
    }
    pv_role_complain(&h->role, &err);
    if (h->role.pid == 0)
        pv_role_back_off(s, &h->role);
    return false;
}

void pv_host_restart(struct pv_supervisor *s, struct pv_host *h)
{
    (void)restart(s, h);
}

static void leave(struct pv_host *h, uint64_t limit_ms)
{
    h->leaving = true;
    pv_role_drain(&h->role, limit_ms);
}

/* It is not running any more, nor will it. */
static void finish(struct pv_supervisor *s, struct pv_host *h)
{
    if (h->stop_asked)
        pv_gateway_done(s, h->stop_tag, 0, "");
    unlink_host(s, h);
    host_free(h);
}

void pv_host_stop(struct pv_supervisor *s, uint64_t tag, const char *name, uint64_t version)
{
    struct pv_host *h = find_host(s, name, version);
    uint64_t limit_ms;

    if (!h) {
        pv_gateway_done(s, tag, -ENOENT, "that function version is not running");
        return;
    }
    limit_ms =
        h->spec.timeout_ms < STOP_LIMIT_MS ? h->spec.timeout_ms + STOP_MARGIN_MS : STOP_LIMIT_MS;
    h->stop_asked = true;
    h->stop_tag = tag;
    leave(h, limit_ms);
    if (h->role.pid == 0)
        finish(s, h);
}

static void make_way(struct pv_host *h)
{
    enum { LIMIT_MS = 5000 };

    h->makes_way = true;
    pv_role_drain(&h->role, LIMIT_MS);
}

void pv_host_unfit(struct pv_host *h, const char *why)
{
    snprintf(h->unfit, sizeof h->unfit, "%s", why);
    make_way(h);
}

void pv_hosts_renew(struct pv_supervisor *s, const uint8_t package[PV_HASH_BYTES])
{
    for (struct pv_host *h = s->hosts; h; h = h->next) {
        if (h->leaving || memcmp(h->spec.package, package, PV_HASH_BYTES) != 0)
            continue;
        pv_log(PV_LOG_WARN, "%s is started anew: its package had been changed", h->role.name);
        if (h->role.pid > 0)
            make_way(h);
        else if (h->role.restart_at_ns)
            h->role.restart_at_ns = pv_now_mono_ns();
    }
}

void pv_host_ended(struct pv_supervisor *s, struct pv_host *h, int status)
{
    bool makes_way = h->makes_way;

    h->makes_way = false;
    pv_role_ended(s, &h->role, status);
    if (makes_way)
        h->role.draining = false; /* it was to end, its function is not */
    drop_group(s, h);
    if (h->leaving || pv_supervisor_stopping(s))
        finish(s, h);
    else if (!makes_way || !restart(s, h))
        tell_exited(s, h, status);
}

void pv_hosts_orphaned(struct pv_supervisor *s)
{
    struct pv_host *next;

    for (struct pv_host *h = s->hosts; h; h = next) {
        next = h->next;
        h->stop_asked = false;
        leave(h, ORPHAN_LIMIT_MS);
        if (h->role.pid == 0)
            finish(s, h);
    }
}

void pv_hosts_drain(struct pv_supervisor *s, uint64_t limit_ms)
{
    for (struct pv_host *h = s->hosts; h; h = h->next)
        leave(h, limit_ms);
}

bool pv_hosts_running(const struct pv_supervisor *s)
{
    for (const struct pv_host *h = s->hosts; h; h = h->next)
        if (h->role.pid > 0)
            return true;
    return false;
}

struct pv_host *pv_host_of_domain(struct pv_supervisor *s, const struct pv_domain_id *id)
{
    for (struct pv_host *h = s->hosts; h; h = h->next)
        if (h->role.domain && memcmp(h->role.domain->id.bytes, id->bytes, sizeof id->bytes) == 0)
            return h;
    return NULL;
}

void pv_hosts_sweep_groups(struct pv_supervisor *s)
{
    for (struct pv_dead_group **at = &s->dead_groups; *at;) {
        struct pv_dead_group *dead = *at;

        if (!pv_cgroup_remove(&s->cgroups, dead->group)) {
            at = &dead->next;
            continue;
        }
        *at = dead->next;
        free(dead);
    }
}

void pv_hosts_free(struct pv_supervisor *s)
{
    struct pv_host *next;

    for (struct pv_host *h = s->hosts; h; h = next) {
        next = h->next;
        if (h->role.pid > 0)
            continue;
        unlink_host(s, h);
        host_free(h);
    }
}
