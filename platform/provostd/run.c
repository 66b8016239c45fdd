#include "run.h"

#include "hosts.h"
#include "imports.h"
#include "listener.h"
#include "notify.h"
#include "package.h"
#include "pv/clock.h"
#include "pv/log.h"
#include "pv/own.h"
#include "pv/role.h"
#include "pv/vm.h"
#include "requests.h"
#include "roles.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>

enum {
    SWEEP_MS = 100,
    SIGNALS_AT_ONCE = 8,
    MESSAGES_AT_ONCE = 64,
    CLOSED_LIMIT_MS = 2000,
    POLL_MAX = 1 + PV_SINGLE_ROLES + 2 * PV_FUNCTIONS_MAX + PV_IMPORTS_MAX,
};

/* ---- opening ---- */

static int find_libexec(struct pv_supervisor *s, struct pv_err *err)
{
    char self[PV_PATH_MAX], path[PV_PATH_MAX + 32];
    ssize_t n;

    if (s->config.libexec_dir[0]) {
        snprintf(s->libexec, sizeof s->libexec, "%s", s->config.libexec_dir);
        return 0;
    }
    n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0)
        return pv_fail(err, errno, "find the running executable");
    self[n] = '\0';
    *strrchr(self, '/') = '\0';
    snprintf(path, sizeof path, "%s/../libexec/provost", self);
    if (!realpath(path, s->libexec))
        return pv_fail(err, errno, "find the roles' executables in '%s'", path);
    return 0;
}

static int open_signals(struct pv_supervisor *s, struct pv_err *err)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGCHLD);
    if (sigprocmask(SIG_BLOCK, &set, NULL) != 0)
        return pv_fail(err, errno, "block signals");
    (void)signal(SIGPIPE, SIG_IGN);
    s->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (s->signal_fd < 0)
        return pv_fail(err, errno, "make a signal descriptor");
    s->bell = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->bell < 0)
        return pv_fail(err, errno, "make the auditor's bell");
    return 0;
}

/* Descriptors for a thousand hosts; no core files, which would hold tokens and secrets. */
static void set_limits(void)
{
    struct rlimit files, none = {0, 0};

    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
    (void)setrlimit(RLIMIT_CORE, &none);
    (void)umask(027);
}

static int open_cgroups(struct pv_supervisor *s, struct pv_err *err)
{
    if (!s->config.cgroups) {
        pv_log(PV_LOG_WARN, "cgroups are off: memory, processes and CPU of functions are not "
                            "limited");
        return 0;
    }
    PV_TRY(pv_cgroup_detect(&s->cgroups, "/proc", s->state.path, err));
    return pv_cgroup_prepare(&s->cgroups, err);
}

static int open_producer(struct pv_supervisor *s, struct pv_err *err)
{
    uint8_t measurement[PV_HASH_BYTES] = {0};
    struct pv_domain *d;
    int ring, bell;

    PV_TRY(pv_role_measure("/proc/self/exe", measurement, err));
    PV_TRY(pv_domains_add(&s->domains, "supervisor", &d, err));
    s->own_domain = d;
    ring = dup(d->ring);
    bell = dup(s->bell);
    if (pv_producer_open(&s->producer, ring, bell, &d->id, d->k0, d->name, measurement, err) == 0)
        return 0;
    (void)close(ring);
    (void)close(bell);
    s->producer = NULL;
    return err->code ? err->code : -EIO;
}

static void stand_by(struct pv_supervisor *s)
{
    struct pv_err err = PV_ERR_INIT;

    if (pv_vm_stand_by(&s->machine, &err) < 0)
        pv_log(PV_LOG_INFO, "no micro-VMs: %s", err.text);
}

int pv_supervisor_open(struct pv_supervisor *s, const struct pv_config *c, struct pv_err *err)
{
    static const char *const names[] = {"auditor", "stitcher", "gateway"};

    *s = (struct pv_supervisor){.config = *c, .signal_fd = -1, .bell = -1, .listener = -1};
    pv_state_init(&s->state);
    pv_domains_init(&s->domains, -1);
    pv_role_init(&s->roles[PV_ROLE_AUDITOR], PV_ROLE_AUDITOR, names[0],
                 c->uid_base + PV_USER_AUDITOR);
    pv_role_init(&s->roles[PV_ROLE_STITCHER], PV_ROLE_STITCHER, names[1],
                 c->uid_base + PV_USER_STITCHER);
    pv_role_init(&s->roles[PV_ROLE_GATEWAY], PV_ROLE_GATEWAY, names[2],
                 c->uid_base + PV_USER_GATEWAY);
    if (geteuid() != 0)
        return pv_refuse(err, EPERM, "provostd must be started by root");
    set_limits();
    PV_TRY(find_libexec(s, err));
    /* First of all: a second daemon leaves nothing behind. */
    s->listener = pv_listener_open(s->config.listen, s->listen_text, sizeof s->listen_text, err);
    PV_TRY(s->listener);
    PV_TRY(pv_state_open(&s->state, &s->config, err));
    pv_domains_init(&s->domains, s->state.rings);
    PV_TRY(pv_package_sweep(s->state.packages, err));
    PV_TRY(open_cgroups(s, err));
    PV_TRY(open_signals(s, err));
    PV_TRY(pv_domains_adopt(&s->domains, err));
    PV_TRY(pv_state_check_room(&s->state, pv_domains_draining(&s->domains), err));
    stand_by(s);
    return open_producer(s, err);
}

void pv_supervisor_close(struct pv_supervisor *s)
{
    struct pv_err err = PV_ERR_INIT;

    pv_imports_cancel(s);
    pv_hosts_free(s);
    while (s->dead_groups) {
        struct pv_dead_group *next = s->dead_groups->next;

        free(s->dead_groups);
        s->dead_groups = next;
    }
    if (pv_cgroup_finish(&s->cgroups, &err) < 0)
        pv_log(PV_LOG_WARN, "%s", err.text);
    for (unsigned i = 0; i < PV_SINGLE_ROLES; i++)
        pv_channel_done(&s->roles[i].channel);
    pv_producer_close(s->producer, "not started");
    pv_domains_done(&s->domains);
    pv_state_close(&s->state);
    if (s->listener >= 0)
        (void)close(s->listener);
    if (s->signal_fd >= 0)
        (void)close(s->signal_fd);
    if (s->bell >= 0)
        (void)close(s->bell);
}

/* ---- phases ---- */

static void kill_everything(struct pv_supervisor *s)
{
    for (unsigned i = 0; i < PV_SINGLE_ROLES; i++)
        pv_role_kill(&s->roles[i]);
    for (struct pv_host *h = s->hosts; h; h = h->next)
        pv_role_kill(&h->role);
}

static bool gateway_runs(const struct pv_supervisor *s)
{
    return s->roles[PV_ROLE_GATEWAY].pid > 0;
}

static bool stitcher_runs(const struct pv_supervisor *s)
{
    return s->roles[PV_ROLE_STITCHER].pid > 0;
}

static bool stitcher_may_emit(const struct pv_supervisor *s)
{
    return stitcher_runs(s) && s->roles[PV_ROLE_STITCHER].domain;
}

static bool auditor_runs(const struct pv_supervisor *s)
{
    return s->roles[PV_ROLE_AUDITOR].pid > 0;
}

static void stop_gateway(struct pv_supervisor *s, uint64_t limit_ms)
{
    pv_imports_cancel(s);
    pv_role_drain(&s->roles[PV_ROLE_GATEWAY], limit_ms);
}

static void stop_stitcher(struct pv_supervisor *s, uint64_t limit_ms)
{
    pv_role_drain(&s->roles[PV_ROLE_STITCHER], limit_ms);
}

/* Our own last words first: the auditor's final checkpoint holds them. One that is just down is
 * started for it. */
static void stop_auditor(struct pv_supervisor *s, uint64_t limit_ms)
{
    struct pv_err err = PV_ERR_INIT;

    pv_producer_close(s->producer, "stopped");
    s->producer = NULL;
    if (pv_domain_end(s->own_domain, pv_auditor_channel(s), &err) < 0)
        pv_log(PV_LOG_WARN, "%s", err.text);
    s->own_domain = NULL;
    if (!auditor_runs(s) && !s->failed && !s->at_once)
        (void)pv_role_start_single(s, PV_ROLE_AUDITOR);
    pv_role_drain(&s->roles[PV_ROLE_AUDITOR], limit_ms);
}

/* What entering a stop begins, and what it waits for; a role past the limit is killed. */
static const struct {
    void (*enter)(struct pv_supervisor *s, uint64_t limit_ms);
    bool (*busy)(const struct pv_supervisor *s);
    uint64_t limit_ms;
} stops[] = {
    [PV_PH_STOP_GATEWAY] = {stop_gateway, gateway_runs, 10000},
    [PV_PH_STOP_HOSTS] = {pv_hosts_drain, pv_hosts_running, 10000},
    [PV_PH_SILENCE_STITCHER] = {stop_stitcher, stitcher_may_emit, 5000},
    [PV_PH_STOP_AUDITOR] = {stop_auditor, auditor_runs, 20000},
    [PV_PH_STOP_STITCHER] = {stop_stitcher, stitcher_runs, 20000},
};

static void enter(struct pv_supervisor *s, enum pv_phase phase)
{
    s->phase = phase;
    if (phase > PV_PH_RUNNING && phase < PV_PH_DONE)
        stops[phase].enter(s, stops[phase].limit_ms);
}

static void advance(struct pv_supervisor *s)
{
    while (pv_supervisor_stopping(s) && s->phase < PV_PH_DONE && !stops[s->phase].busy(s))
        enter(s, s->phase + 1);
}

static void stop(struct pv_supervisor *s)
{
    if (pv_supervisor_stopping(s))
        return;
    pv_log(PV_LOG_INFO, "stopping");
    pv_notify("STOPPING=1");
    for (unsigned i = 0; i < PV_SINGLE_ROLES; i++)
        s->roles[i].restart_at_ns = 0;
    for (struct pv_host *h = s->hosts; h; h = h->next)
        h->role.restart_at_ns = 0;
    enter(s, PV_PH_STOP_GATEWAY);
}

static void become_ready(struct pv_supervisor *s)
{
    s->phase = PV_PH_RUNNING;
    printf("provostd ready on http://%s, state in %s\n", s->listen_text, s->state.path);
    (void)fflush(stdout);
    pv_notify("READY=1");
}

/* While provostd itself starts there is somebody to hear that it cannot, and waiting mends nothing
 * unless the auditor is just making room. */
static void start_single(struct pv_supervisor *s, enum pv_role_kind kind)
{
    if (pv_role_start_single(s, kind) || s->phase != PV_PH_STARTING ||
        (kind != PV_ROLE_AUDITOR && pv_domains_draining(&s->domains)))
        return;
    s->failed = true;
    stop(s);
}

static void start_if_new(struct pv_supervisor *s, enum pv_role_kind kind)
{
    if (s->roles[kind].started_ns == 0)
        start_single(s, kind);
}

/* The auditor comes first: nothing is served that it does not witness. */
static void after_ready(struct pv_supervisor *s, const struct pv_role *r)
{
    if (s->phase != PV_PH_STARTING)
        return;
    if (r->kind == PV_ROLE_AUDITOR) {
        start_if_new(s, PV_ROLE_STITCHER);
        if (!pv_supervisor_stopping(s)) /* as when that could not be started */
            start_if_new(s, PV_ROLE_GATEWAY);
    } else if (r->kind == PV_ROLE_GATEWAY) {
        become_ready(s);
    }
}

/* ---- events of the loop ---- */

static void explain_failed_start(struct pv_supervisor *s, const struct pv_role *r, int status)
{
    unsigned code = (unsigned)pv_role_status(status);
    const char *hint = r->kind == PV_ROLE_AUDITOR && code == PV_AUDITOR_NO_WITNESS
                           ? "; --without-bpf does without the outside witness"
                           : "";

    pv_log(PV_LOG_ERROR, "%s ended with status %u before it was ready (its reason stands above)%s",
           r->name, code, hint);
    s->failed = true;
}

static void single_ended(struct pv_supervisor *s, struct pv_role *r, int status)
{
    bool fatal = s->phase == PV_PH_STARTING && !r->ready && r->kind != PV_ROLE_STITCHER;

    if (fatal)
        explain_failed_start(s, r, status);
    pv_role_ended(s, r, status);
    if (r->kind == PV_ROLE_GATEWAY && !pv_supervisor_stopping(s))
        pv_hosts_orphaned(s);
    if (fatal)
        stop(s);
}

static void child_ended(struct pv_supervisor *s, pid_t pid, int status)
{
    for (unsigned i = 0; i < PV_SINGLE_ROLES; i++)
        if (s->roles[i].pid == pid) {
            single_ended(s, &s->roles[i], status);
            return;
        }
    for (struct pv_host *h = s->hosts; h; h = h->next)
        if (h->role.pid == pid) {
            pv_host_ended(s, h, status);
            return;
        }
    for (struct pv_import *i = s->imports; i; i = i->next)
        if (i->pid == pid)
            i->pid = 0; /* its answer is in the pipe */
    if (s->remover == pid)
        s->remover = 0;
}

static void reap(struct pv_supervisor *s)
{
    int status;
    pid_t pid;

    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        child_ended(s, pid, status);
}

static void on_signals(struct pv_supervisor *s)
{
    struct signalfd_siginfo info[SIGNALS_AT_ONCE];
    ssize_t n = read(s->signal_fd, info, sizeof info);

    for (size_t i = 0; n > 0 && i < (size_t)n / sizeof info[0]; i++) {
        if (info[i].ssi_signo == SIGCHLD)
            continue;
        if (pv_supervisor_stopping(s)) {
            pv_log(PV_LOG_WARN, "stopping at once");
            s->at_once = true;
            kill_everything(s);
        }
        stop(s);
    }
    reap(s);
}

static void hear_role(struct pv_supervisor *s, struct pv_role *r)
{
    for (unsigned i = 0; i < MESSAGES_AT_ONCE && pv_channel_is_open(&r->channel); i++) {
        struct pv_err err = PV_ERR_INIT;
        pv_automsg struct pv_msg m = {0};
        int rc = pv_msg_recv(r->channel.fd, &m, &err);
        bool was_ready = r->ready;

        if (rc == -EAGAIN)
            return;
        if (rc == 0) {
            /* It is about to exit; when it does not, it is made to. */
            pv_channel_done(&r->channel);
            r->kill_at_ns = pv_now_mono_ns() + CLOSED_LIMIT_MS * PV_NS_PER_MS;
            return;
        }
        if (rc > 0)
            rc = pv_request_handle(s, r, &m, &err);
        if (m.body.data)
            explicit_bzero(m.body.data, m.body.len); /* it may hold a secret */
        if (rc < 0) {
            pv_log(PV_LOG_ERROR, "%s broke the protocol and is killed: %s", r->name, err.text);
            pv_channel_done(&r->channel);
            pv_role_kill(r);
            return;
        }
        if (r->ready && !was_ready)
            after_ready(s, r);
    }
}

static void serve_role(struct pv_supervisor *s, struct pv_role *r, short events)
{
    struct pv_err err = PV_ERR_INIT;

    if ((events & POLLOUT) && pv_channel_flush(&r->channel, &err) < 0)
        pv_log(PV_LOG_DEBUG, "%s: %s", r->name, err.text);
    if (events & (POLLIN | POLLHUP | POLLERR))
        hear_role(s, r);
}

static void run_timers_of(struct pv_role *r, uint64_t now)
{
    if (r->kill_at_ns && now >= r->kill_at_ns) {
        if (r->pid > 0)
            pv_log(PV_LOG_WARN, "%s does not end and is killed", r->name);
        pv_role_kill(r);
    }
}

static bool restart_due(const struct pv_role *r, uint64_t now)
{
    return r->pid == 0 && r->restart_at_ns && now >= r->restart_at_ns;
}

static void run_timers(struct pv_supervisor *s)
{
    uint64_t now = pv_now_mono_ns();

    for (unsigned i = 0; i < PV_SINGLE_ROLES; i++) {
        run_timers_of(&s->roles[i], now);
        if (!pv_supervisor_stopping(s) && restart_due(&s->roles[i], now))
            start_single(s, (enum pv_role_kind)i);
    }
    for (struct pv_host *h = s->hosts; h; h = h->next) {
        run_timers_of(&h->role, now);
        if (!pv_supervisor_stopping(s) && !h->leaving && restart_due(&h->role, now))
            pv_host_restart(s, h);
    }
    pv_hosts_sweep_groups(s);
}

static void earliest(uint64_t *at, const struct pv_role *r)
{
    if (r->kill_at_ns && r->kill_at_ns < *at)
        *at = r->kill_at_ns;
    if (r->pid == 0 && r->restart_at_ns && r->restart_at_ns < *at)
        *at = r->restart_at_ns;
}

static int poll_timeout_ms(const struct pv_supervisor *s)
{
    uint64_t now = pv_now_mono_ns();
    uint64_t at = s->dead_groups ? now + SWEEP_MS * PV_NS_PER_MS : UINT64_MAX;

    for (unsigned i = 0; i < PV_SINGLE_ROLES; i++)
        earliest(&at, &s->roles[i]);
    for (const struct pv_host *h = s->hosts; h; h = h->next)
        earliest(&at, &h->role);
    if (at == UINT64_MAX)
        return -1;
    return at <= now ? 0 : (int)((at - now) / PV_NS_PER_MS) + 1;
}

/* ---- the loop ---- */

struct watched {
    struct pv_role *role;     /* or */
    struct pv_import *import; /* or the signals, when both are NULL */
};
struct watch {
    struct pollfd fds[POLL_MAX];
    struct watched what[POLL_MAX];
    nfds_t n;
};

static void watch_add(struct watch *w, int fd, short events, struct watched what)
{
    if (fd < 0 || w->n == POLL_MAX)
        return;
    w->fds[w->n] = (struct pollfd){.fd = fd, .events = events};
    w->what[w->n++] = what;
}

static void watch_role(struct watch *w, struct pv_role *r)
{
    short events = r->channel.count > 0 ? POLLIN | POLLOUT : POLLIN;

    watch_add(w, r->channel.fd, events, (struct watched){.role = r});
}

static void watch_all(struct watch *w, struct pv_supervisor *s)
{
    w->n = 0;
    watch_add(w, s->signal_fd, POLLIN, (struct watched){0});
    for (unsigned i = 0; i < PV_SINGLE_ROLES; i++)
        watch_role(w, &s->roles[i]);
    for (struct pv_host *h = s->hosts; h; h = h->next)
        watch_role(w, &h->role);
    for (struct pv_import *i = s->imports; i; i = i->next)
        watch_add(w, i->pipe, POLLIN, (struct watched){.import = i});
}

/* The order matters: a gateway's request may free hosts, and a signal anything. */
static void serve(struct watch *w, struct pv_supervisor *s)
{
    struct pv_role *gateway = &s->roles[PV_ROLE_GATEWAY];
    short from_gateway = 0;

    for (nfds_t i = 1; i < w->n; i++) {
        if (w->fds[i].revents == 0 || !w->what[i].role)
            continue;
        if (w->what[i].role == gateway)
            from_gateway = w->fds[i].revents;
        else
            serve_role(s, w->what[i].role, w->fds[i].revents);
    }
    if (from_gateway)
        serve_role(s, gateway, from_gateway);
    for (nfds_t i = 1; i < w->n; i++)
        if (w->fds[i].revents && w->what[i].import)
            pv_import_read(s, w->what[i].import);
    if (w->fds[0].revents)
        on_signals(s);
}

static bool anything_runs(const struct pv_supervisor *s)
{
    return gateway_runs(s) || stitcher_runs(s) || auditor_runs(s) || pv_hosts_running(s);
}

int pv_supervisor_run(struct pv_supervisor *s, struct pv_err *err)
{
    pv_autofree struct watch *w = calloc(1, sizeof *w);

    if (!w)
        return pv_fail(err, ENOMEM, "make the poll set");
    start_single(s, PV_ROLE_AUDITOR);
    while (s->phase != PV_PH_DONE || anything_runs(s)) {
        watch_all(w, s);
        if (poll(w->fds, w->n, poll_timeout_ms(s)) < 0 && errno != EINTR)
            return pv_fail(err, errno, "wait for events");
        serve(w, s);
        run_timers(s);
        advance(s);
    }
    if (s->failed)
        return pv_refuse(err, ECANCELED, "provostd could not start");
    return 0;
}
