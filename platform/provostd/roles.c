#include "roles.h"

#include "pv/clock.h"
#include "pv/log.h"
#include "pv/own.h"
#include "pv/role.h"
#include "spawn.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

enum { BACKOFF_MIN_MS = 100, BACKOFF_MAX_MS = 10000, HEALTHY_S = 30, COMPLAIN_S = 60 };

static const struct {
    const char *executable;
    unsigned user;
} infos[] = {
    [PV_ROLE_AUDITOR] = {"provost-auditor", PV_USER_AUDITOR},
    [PV_ROLE_STITCHER] = {"provost-stitcher", PV_USER_STITCHER},
    [PV_ROLE_GATEWAY] = {"provost-gateway", PV_USER_GATEWAY},
    [PV_ROLE_HOST] = {"provost-host", PV_USER_HOSTS},
};

void pv_role_init(struct pv_role *r, enum pv_role_kind kind, const char *name, uid_t uid)
{
    *r = (struct pv_role){.kind = kind, .uid = uid};
    snprintf(r->name, sizeof r->name, "%s", name);
    pv_channel_init(&r->channel, -1);
}

int pv_supervisor_emit(struct pv_supervisor *s, struct pv_event *e)
{
    struct pv_err err = PV_ERR_INIT;
    int rc = s->producer ? pv_producer_emit(s->producer, e, &err) : 0;

    if (rc < 0)
        pv_log(PV_LOG_ERROR, "an event of the supervisor is lost: %s", err.text);
    else if (s->producer)
        pv_producer_flush(s->producer);
    return rc;
}

static void emit_start(struct pv_supervisor *s, const struct pv_role *r)
{
    struct pv_event e;

    pv_event_init(&e, PV_K_ROLE_START, NULL);
    pv_event_text(&e, r->name);
    pv_event_u64(&e, (uint64_t)r->pid);
    pv_event_u64(&e, r->uid);
    (void)pv_supervisor_emit(s, &e);
}

static void emit_exit(struct pv_supervisor *s, const struct pv_role *r, int status)
{
    struct pv_event e;

    pv_event_init(&e, PV_K_ROLE_EXIT, NULL);
    pv_event_text(&e, r->name);
    pv_event_u64(&e, (uint64_t)r->pid);
    pv_event_u64(&e, pv_role_status(status));
    pv_event_u64(&e, r->restart_at_ns ? r->backoff_ms : 0);
    (void)pv_supervisor_emit(s, &e);
}

uint64_t pv_role_status(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128u + (unsigned)WTERMSIG(wait_status)
                                    : (unsigned)WEXITSTATUS(wait_status);
}

int pv_role_fresh_dir(int dir_fd)
{
    return openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

void pv_role_kill(struct pv_role *r)
{
    r->kill_at_ns = 0;
    if (r->pid > 0 && kill(-r->pid, SIGKILL) != 0)
        (void)kill(r->pid, SIGKILL);
}

void pv_role_send(struct pv_role *r, struct pv_msg *m)
{
    struct pv_err err = PV_ERR_INIT;
    int rc = pv_channel_send(&r->channel, m, &err);

    /* EPIPE: it is dying already, and its end is handled when it is reaped. */
    if (rc < 0 && rc != -EPIPE) {
        pv_log(PV_LOG_ERROR, "%s is killed: %s", r->name, err.text);
        pv_role_kill(r);
    }
}

/* A fresh hash each time: the file may have been upgraded since the last start. */
int pv_role_measure(const char *path, uint8_t out[PV_HASH_BYTES], struct pv_err *err)
{
    uint8_t chunk[16384];
    struct pv_hasher *h;
    ssize_t n;
    pv_autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return pv_fail(err, errno, "open '%s'", path);
    PV_TRY(pv_hasher_new(&h, err));
    while ((n = read(fd, chunk, sizeof chunk)) > 0)
        pv_hasher_update(h, chunk, (size_t)n);
    if (n == 0)
        pv_hasher_final(h, out);
    pv_hasher_free(h);
    return n < 0 ? pv_fail(err, errno, "read '%s'", path) : 0;
}

static void executable_path(const struct pv_supervisor *s, enum pv_role_kind kind,
                            char out[PV_PATH_MAX + 32])
{
    snprintf(out, PV_PATH_MAX + 32, "%s/%s", s->libexec, infos[kind].executable);
}

static int send_start(struct pv_supervisor *s, struct pv_role *r,
                      const uint8_t measurement[PV_HASH_BYTES], pv_role_fill fill,
                      struct pv_err *err)
{
    pv_automsg struct pv_msg m = {0};
    struct pv_role_start start = {.domain = r->domain->id};

    memcpy(start.k0, r->domain->k0, sizeof start.k0);
    memcpy(start.measurement, measurement, sizeof start.measurement);
    snprintf(start.name, sizeof start.name, "%s", r->name);
    pv_msg_init(&m, PV_ROLE_START);
    pv_role_start_put(&m, &start);
    explicit_bzero(&start, sizeof start);
    pv_msg_put_fd(&m, fcntl(r->domain->ring, F_DUPFD_CLOEXEC, 0));
    PV_TRY(fill(s, r, &m, err));
    return pv_channel_send(&r->channel, &m, err);
}

static int spawn(struct pv_supervisor *s, struct pv_role *r, struct pv_err *err)
{
    int pair[2];
    char path[PV_PATH_MAX + 32], title[160];
    int rc;

    executable_path(s, r->kind, path);
    if (r->kind == PV_ROLE_HOST)
        snprintf(title, sizeof title, "provost-%s", r->name);
    else
        snprintf(title, sizeof title, "%s", infos[r->kind].executable);
    PV_TRY(pv_msg_pair(pair, err));
    pv_channel_init(&r->channel, pair[0]);
    rc = pv_spawn(&r->pid, path, title, pair[1], s->bell, err);
    (void)close(pair[1]);
    r->ready = false;
    r->draining = false;
    r->restart_at_ns = 0;
    r->kill_at_ns = 0;
    r->started_ns = pv_now_mono_ns();
    return rc;
}

static int introduce(struct pv_supervisor *s, struct pv_role *r,
                     const uint8_t measurement[PV_HASH_BYTES], pv_role_fill fill,
                     struct pv_err *err)
{
    r->domain->pid = r->kind == PV_ROLE_HOST ? r->pid : 0;
    r->domain->hold = r->hold;
    r->domain->is_auditors = r->kind == PV_ROLE_AUDITOR;
    PV_TRY(send_start(s, r, measurement, fill, err));
    if (r->kind == PV_ROLE_AUDITOR)
        return pv_domains_announce_all(&s->domains, &r->channel, err);
    if (pv_channel_is_open(pv_auditor_channel(s)))
        return pv_domain_announce(r->domain, pv_auditor_channel(s), err);
    return 0;
}

int pv_role_launch(struct pv_supervisor *s, struct pv_role *r,
                   const uint8_t measurement[PV_HASH_BYTES], pv_role_fill fill, struct pv_err *err)
{
    int rc;

    rc = pv_domains_add(&s->domains, r->name, &r->domain, err);
    if (rc < 0)
        return pv_wrap(err, pv_state_explain_room(&s->state, rc, err), "start %s", r->name);
    rc = spawn(s, r, err);
    if (rc == 0) {
        emit_start(s, r);
        rc = introduce(s, r, measurement, fill, err);
        /* Its end is then handled like any other, when it is reaped. */
        if (rc < 0)
            pv_role_kill(r);
        else if (r->complained_ns)
            pv_log(PV_LOG_INFO, "%s could be started again", r->name);
        if (rc == 0)
            r->complained_ns = 0;
        return pv_wrap(err, rc, "start %s", r->name);
    }
    pv_channel_done(&r->channel);
    (void)!pv_domain_end(r->domain, pv_auditor_channel(s), &(struct pv_err){0});
    r->domain = NULL;
    r->pid = 0;
    return pv_wrap(err, rc, "start %s", r->name);
}

static int fill_auditor(struct pv_supervisor *s, struct pv_role *r, struct pv_msg *m,
                        struct pv_err *err)
{
    char bpffs[PV_PATH_MAX + 8];
    const char *reason = s->config.bpf     ? ""
                         : s->config.audit ? "switched off by the operator"
                                           : "benchmark without audit";

    snprintf(bpffs, sizeof bpffs, "%s/bpf", s->state.path);
    pv_buf_u8(&m->body, s->config.bpf ? PV_WITNESS_BPF : PV_WITNESS_NONE);
    pv_buf_str(&m->body, reason);
    pv_buf_u32(&m->body, r->uid);
    pv_buf_u32(&m->body, r->uid);
    pv_buf_str(&m->body, bpffs);
    pv_msg_put_fd(m, pv_role_fresh_dir(s->state.log));
    pv_msg_put_fd(m, pv_role_fresh_dir(s->state.keys));
    pv_msg_put_fd(m, pv_role_fresh_dir(s->state.bpf));
    return pv_buf_check(&m->body, "start message of the auditor", err);
}

static int fill_stitcher(struct pv_supervisor *s, struct pv_role *r, struct pv_msg *m,
                         struct pv_err *err)
{
    char path[PV_PATH_MAX + 8];

    pv_buf_u32(&m->body, r->uid);
    pv_buf_u32(&m->body, r->uid);
    snprintf(path, sizeof path, "%s/log", s->state.path);
    pv_buf_str(&m->body, path);
    snprintf(path, sizeof path, "%s/graph", s->state.path);
    pv_buf_str(&m->body, path);
    pv_msg_put_fd(m, pv_role_fresh_dir(s->state.log));
    pv_msg_put_fd(m, pv_role_fresh_dir(s->state.graph));
    return pv_buf_check(&m->body, "start message of the stitcher", err);
}

static int fill_gateway(struct pv_supervisor *s, struct pv_role *r, struct pv_msg *m,
                        struct pv_err *err)
{
    pv_buf_str(&m->body, s->state.token);
    pv_buf_u8(&m->body, s->config.audit);
    pv_buf_str(&m->body, s->listen_text);
    pv_buf_str(&m->body, s->state.path);
    pv_buf_u32(&m->body, r->uid);
    pv_buf_u32(&m->body, r->uid);
    pv_msg_put_fd(m, fcntl(s->listener, F_DUPFD_CLOEXEC, 0));
    pv_msg_put_fd(m, pv_role_fresh_dir(s->state.registry));
    pv_msg_put_fd(m, pv_role_fresh_dir(s->state.functions));
    s->gateway_run++;
    return pv_buf_check(&m->body, "start message of the gateway", err);
}

void pv_role_complain(struct pv_role *r, const struct pv_err *err)
{
    uint64_t now = pv_now_mono_ns();

    if (r->complained_ns && now - r->complained_ns < COMPLAIN_S * PV_NS_PER_S)
        return;
    r->complained_ns = now;
    pv_log(PV_LOG_ERROR, "%s", err->text);
}

bool pv_role_start_single(struct pv_supervisor *s, enum pv_role_kind kind)
{
    static const pv_role_fill fills[] = {
        [PV_ROLE_AUDITOR] = fill_auditor,
        [PV_ROLE_STITCHER] = fill_stitcher,
        [PV_ROLE_GATEWAY] = fill_gateway,
    };
    struct pv_role *r = &s->roles[kind];
    struct pv_err err = PV_ERR_INIT;
    uint8_t measurement[PV_HASH_BYTES];
    char path[PV_PATH_MAX + 32];
    int rc;

    executable_path(s, kind, path);
    rc = pv_role_measure(path, measurement, &err);
    if (rc == 0)
        rc = pv_role_launch(s, r, measurement, fills[kind], &err);
    if (rc < 0) {
        pv_role_complain(r, &err);
        if (r->pid == 0)
            pv_role_back_off(s, r);
    }
    return r->pid > 0;
}

void pv_role_drain(struct pv_role *r, uint64_t limit_ms)
{
    pv_automsg struct pv_msg m = {0};

    r->draining = true;
    r->restart_at_ns = 0;
    if (r->pid == 0)
        return;
    r->kill_at_ns = pv_now_mono_ns() + limit_ms * PV_NS_PER_MS;
    pv_msg_init(&m, PV_ROLE_DRAIN);
    pv_role_send(r, &m);
}

void pv_role_back_off(struct pv_supervisor *s, struct pv_role *r)
{
    uint64_t now = pv_now_mono_ns();

    if (r->backoff_ms == 0 || (r->started_ns && now - r->started_ns > HEALTHY_S * PV_NS_PER_S))
        r->backoff_ms = BACKOFF_MIN_MS;
    else if (r->backoff_ms < BACKOFF_MAX_MS / 2)
        r->backoff_ms *= 2;
    else
        r->backoff_ms = BACKOFF_MAX_MS;
    r->started_ns = now; /* its health counts once: the next start may fail before a process is */
    r->restart_at_ns = 0;
    if (!r->draining && !pv_supervisor_stopping(s))
        r->restart_at_ns = now + r->backoff_ms * PV_NS_PER_MS;
}

void pv_role_ended(struct pv_supervisor *s, struct pv_role *r, int status)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_domain_id id = r->domain ? r->domain->id : (struct pv_domain_id){0};

    pv_role_back_off(s, r);
    if (r->restart_at_ns)
        pv_log(PV_LOG_WARN, "%s (process %d) ended with status %u; again in %u ms", r->name, r->pid,
               (unsigned)pv_role_status(status), r->backoff_ms);
    emit_exit(s, r, status);
    pv_channel_done(&r->channel);
    if (r->domain && pv_domain_end(r->domain, pv_auditor_channel(s), &err) < 0)
        pv_role_kill(&s->roles[PV_ROLE_AUDITOR]);
    /* The auditor appends its own events itself; after a clean end nobody needs its ring. */
    else if (r->domain && r->kind == PV_ROLE_AUDITOR && r->draining && status == 0 &&
             pv_domains_remove(&s->domains, &id, &err) < 0)
        pv_log(PV_LOG_WARN, "%s", err.text);
    r->domain = NULL;
    r->pid = 0;
    r->ready = false;
    r->kill_at_ns = 0;
}
