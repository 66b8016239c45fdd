#include "ending.h"
#include "examine.h"
#include "process.h"
#include "seccomp.h"
#include "spawn.h"
#include "stat.h"
#include "zygote.h"

#include "pv/clock.h"
#include "pv/log.h"
#include "pv/own.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>

#define GET_MNT_NAMESPACE _IO(0xff, 3) /* PIDFD_GET_MNT_NAMESPACE of Linux 6.11 */

static struct pv_process_instance *own(struct pv_instance *i)
{
    return (struct pv_process_instance *)i;
}

static struct pv_process_domain *domain_of(struct pv_instance *i)
{
    return (struct pv_process_domain *)i->domain;
}

static void plan_sandbox(struct pv_process_domain *d, struct pv_process_instance *i)
{
    const struct pv_process_slot *slot = &d->slots[i->base.slot];
    const struct pv_pipes *p = &i->pipes;

    i->plan = (struct pv_sandbox_plan){
        .stdio = {p->in[0], p->out[1], p->err[1]},
        .control = p->control[1],
        .netns = slot->network.netns_fd,
        .procs = slot->cgroup.procs,
        .tmp_options = d->tmp_options,
        .landlock_abi = d->landlock_abi,
        .filter = &pv_filter_function,
        .gate = i->base.mode == PV_MODE_EXEC,
        .argv = d->argv,
        .envp = i->env->n_all ? (char **)(uintptr_t)i->env->envp : NULL,
        .n_static = i->env->n_static,
        .max_env = PV_ENV_POINTERS_MAX,
        .request_env = d->request_env,
    };
}

/* --- on a worker's thread --- */

static void spawn(struct pv_job *job)
{
    struct pv_process_instance *i = PV_CONTAINER(job, struct pv_process_instance, job);
    int pidfd = -1;
    long pid = pv_spawn(&i->plan, &pidfd);

    if (pid < 0) {
        (void)pv_fail(&i->why, errno, "start an instance");
        return;
    }
    i->child = (pid_t)pid;
    i->child_fd = pidfd;
}

static int make_zygote(struct pv_process_instance *i, struct pv_process_domain *d,
                       struct pv_process_slot *slot)
{
    PV_TRY(pv_zygote_make(&slot->zygote, d, slot, &i->base.zygote, &i->why));
    /* it stands in the slot's group for good */
    return pv_slot_cgroup_allow(&slot->cgroup, d->spec->processes + 1, &i->why);
}

static void drop_zygote(struct pv_process_domain *d, struct pv_process_slot *slot)
{
    struct pv_err err = PV_ERR_INIT;

    pv_zygote_free(PV_TAKE_PTR(slot->zygote));
    if (pv_slot_cgroup_allow(&slot->cgroup, d->spec->processes, &err) < 0)
        pv_log(PV_LOG_WARN, "%s", err.text); /* one process too many is allowed */
}

static int fork_zygote(struct pv_process_instance *i, struct pv_process_domain *d,
                       struct pv_process_slot *slot)
{
    const int stdio[3] = {i->pipes.in[0], i->pipes.out[1], i->pipes.err[1]};

    if (!slot->zygote)
        PV_TRY(make_zygote(i, d, slot));
    return pv_zygote_fork(slot->zygote, stdio, &i->child, &i->child_fd, &i->place, &i->why);
}

/* The memory limit may have killed a slot's zygote: once more with another. */
static void spawn_from_zygote(struct pv_job *job)
{
    struct pv_process_instance *i = PV_CONTAINER(job, struct pv_process_instance, job);
    struct pv_process_domain *d = domain_of(&i->base);
    struct pv_process_slot *slot = &d->slots[i->base.slot];

    for (bool had = true; had;) {
        had = slot->zygote != NULL;
        if (fork_zygote(i, d, slot) == 0)
            return;
        i->child = 0;
        drop_zygote(d, slot);
    }
    i->base.zygote.gone = true;
}

/* --- on the owner's --- */

/* Holds the mount namespace, so that the last process need not take it down before it is dead. */
static int hold_mounts(const struct pv_instance *i)
{
    char path[48];
    int fd = ioctl(i->exit_fd, GET_MNT_NAMESPACE, 0);

    if (fd >= 0)
        return fd;
    (void)snprintf(path, sizeof path, "/proc/%d/ns/mnt", (int)i->pid);
    return open(path, O_RDONLY | O_CLOEXEC);
}

void pv_process_drop_mounts(struct pv_job *job)
{
    struct pv_process_slot *slot = PV_CONTAINER(job, struct pv_process_slot, drop);

    (void)close(PV_TAKE_FD(slot->mounts_fd));
}

static int describe(struct pv_instance *i, struct pv_err *err)
{
    const int fds[] = {i->stdin_fd, i->stdout_fd, i->stderr_fd};
    struct pv_process_stat st;

    for (unsigned n = 0; n < 3; n++) {
        struct stat s;

        if (fstat(fds[n], &s) < 0)
            return pv_fail(err, errno, "look at an instance's pipes");
        i->inode[n] = s.st_ino;
    }
    PV_TRY(pv_process_stat_read((pid_t)i->pid, &st, err));
    i->start_ticks = st.start_ticks;
    return 0;
}

static int environment_for(struct pv_process_domain *d, struct pv_process_instance *i, bool probe,
                           struct pv_err *err)
{
    if (i->base.mode == PV_MODE_EXEC) {
        i->env = &d->at_gate;
        return 0;
    }
    i->env = probe ? &d->probe : &d->reserved;
    if (!probe)
        return 0;
    pv_environment_done(&d->probe);
    return pv_environment_make(&d->probe, d->spec, true, true, err);
}

int pv_process_prepare(struct pv_domain *domain, unsigned slot, enum pv_mode mode, bool probe,
                       struct pv_instance **ret, struct pv_err *err)
{
    struct pv_process_domain *d = (struct pv_process_domain *)domain;
    struct pv_process_instance *i;
    int rc;

    if (slot >= d->n_slots || d->slots[slot].taken)
        return pv_refuse(err, EBUSY, "slot %u is taken", slot);
    pv_worker_wait(d->closer, &d->slots[slot].drop);
    i = calloc(1, sizeof *i);
    if (!i)
        return pv_fail(err, ENOMEM, "prepare an instance");
    i->base = (struct pv_instance){.domain = domain,
                                   .slot = slot,
                                   .mode = mode,
                                   .stdin_fd = -1,
                                   .stdout_fd = -1,
                                   .stderr_fd = -1,
                                   .exit_fd = -1,
                                   .zygote = {.listener = -1}};
    i->pipes = PV_PIPES_NONE;
    i->control = i->child_fd = -1;
    i->worker = mode == PV_MODE_ZYGOTE ? d->slots[slot].breeder->worker : d->maker;
    i->job.run = mode == PV_MODE_ZYGOTE ? spawn_from_zygote : spawn;
    d->slots[slot].taken = true;
    rc = environment_for(d, i, probe, err);
    if (rc == 0)
        rc = pv_pipes_open(&i->pipes, mode != PV_MODE_ZYGOTE, err);
    if (rc < 0) {
        pv_process_destroy(&i->base);
        return rc;
    }
    pv_slot_cgroup_start(&d->slots[slot].cgroup);
    plan_sandbox(d, i);
    pv_worker_post(i->worker, &i->job);
    *ret = &i->base;
    return 0;
}

/* Takes over what the maker left behind. */
static void settle(struct pv_process_instance *i)
{
    if (i->settled)
        return;
    i->settled = true;
    i->base.pid = i->child > 0 ? i->child : 0;
    i->base.exit_fd = PV_TAKE_FD(i->child_fd);
    i->base.stdin_fd = PV_TAKE_FD(i->pipes.in[1]);
    i->base.stdout_fd = PV_TAKE_FD(i->pipes.out[0]);
    i->base.stderr_fd = PV_TAKE_FD(i->pipes.err[0]);
    i->control = PV_TAKE_FD(i->pipes.control[0]);
    pv_pipes_close(&i->pipes);
}

static int no_child(const struct pv_process_instance *i, struct pv_err *err)
{
    *err = i->why;
    return i->why.code;
}

int pv_process_made(struct pv_instance *instance, struct pv_err *err)
{
    struct pv_process_instance *i = own(instance);
    struct pv_process_domain *d = domain_of(instance);

    if (!pv_worker_take(i->worker, &i->job))
        return 0;
    settle(i);
    if (instance->pid == 0)
        return no_child(i, err);
    if (d->slots[instance->slot].mounts_fd < 0)
        d->slots[instance->slot].mounts_fd = hold_mounts(instance);
    PV_TRY(describe(instance, err));
    return 1;
}

void pv_process_await(struct pv_instance *instance)
{
    pv_worker_wait(own(instance)->worker, &own(instance)->job);
}

bool pv_process_vacant(struct pv_domain *domain, unsigned slot)
{
    struct pv_process_domain *d = (struct pv_process_domain *)domain;

    return slot < d->n_slots && !d->slots[slot].taken &&
           pv_worker_take(d->closer, &d->slots[slot].drop);
}

static void read_report(struct pv_process_instance *i)
{
    struct pv_sandbox_report r;

    while (i->control >= 0 && recv(i->control, &r, sizeof r, MSG_DONTWAIT) == (ssize_t)sizeof r) {
        if (r.step == PV_STEP_AT_GATE)
            i->at_gate = true;
        else
            i->report = r;
    }
}

int pv_process_ready(struct pv_instance *instance, struct pv_err *err)
{
    struct pv_process_instance *i = own(instance);
    struct pv_process_wait wait;
    int rc;

    if (!i->at_gate)
        read_report(i);
    if (i->report.error)
        return pv_sandbox_explain(&i->report, domain_of(instance)->argv[0], err);
    if (instance->mode == PV_MODE_EXEC)
        return i->at_gate;
    if (instance->mode == PV_MODE_ZYGOTE || i->waits)
        return 1;
    rc = pv_process_wait_read((pid_t)instance->pid, &wait, NULL);
    /* before its exec the child cannot be looked at; when it is dead exit_fd tells */
    i->waits = rc == 0 && wait.on_stdin;
    /* looked for now and not when a request waits for it; begin tells of a failure */
    if (i->waits && pv_environment_find(i->env, (pid_t)instance->pid, &i->place, NULL) < 0)
        i->place.envp = 0;
    return i->waits;
}

bool pv_process_asleep(struct pv_instance *instance, struct pv_err *why)
{
    struct pv_process_wait wait;

    if (pv_process_wait_read((pid_t)instance->pid, &wait, NULL) < 0 || !wait.asleep ||
        wait.on_stdin)
        return false;
    (void)pv_refuse(why, EBUSY, "%s",
                    wait.call == SYS_wait4 || wait.call == SYS_waitid
                        ? "it starts other programs before it reads stdin"
                        : "it waits for something else before it reads stdin");
    return true;
}

int pv_process_examine(struct pv_instance *instance, struct pv_err *why)
{
    struct pv_process_instance *i = own(instance);
    struct pv_process_wait wait;
    int rc;

    PV_TRY(pv_process_wait_read((pid_t)instance->pid, &wait, why));
    for (unsigned n = 0; n < 6; n++)
        if (wait.args[n] == i->env->numbers[0] || wait.args[n] == i->env->numbers[1]) {
            (void)pv_refuse(why, EBUSY, "it has read the request's length");
            return 1;
        }
    rc = pv_examine(i->env, (pid_t)instance->pid, why);
    return rc;
}

int pv_process_begin(struct pv_instance *instance, const struct pv_invocation *v,
                     struct pv_err *err)
{
    struct pv_process_instance *i = own(instance);
    static const char nothing[1];

    if (i->begun || v->env_len > PV_REQUEST_ENV_MAX)
        return pv_refuse(err, EINVAL, "the instance cannot take this request");
    if (instance->mode != PV_MODE_EXEC) {
        if (!i->place.envp) /* begun in the moment it was ready */
            PV_TRY(pv_environment_find(i->env, (pid_t)instance->pid, &i->place, err));
        PV_TRY(
            pv_environment_write(i->env, &i->place, (pid_t)instance->pid, v->env, v->env_len, err));
    } else {
        /* an empty datagram would read as the end of the socket */
        const void *p = v->env_len ? v->env : nothing;

        if (send(i->control, p, v->env_len ? v->env_len : 1, MSG_NOSIGNAL) < 0)
            return pv_fail(err, errno, "hand over the request's variables");
    }
    i->begun = true;
    return 0;
}

void pv_process_kill(struct pv_instance *i)
{
    /* the first process of a pid namespace takes all others with it */
    if (i->exit_fd >= 0 && !own(i)->reaped)
        (void)syscall(SYS_pidfd_send_signal, i->exit_fd, SIGKILL, NULL, 0);
}

static uint64_t nanoseconds(const struct timeval *t)
{
    return (uint64_t)t->tv_sec * PV_NS_PER_S + (uint64_t)t->tv_usec * 1000;
}

/* The process's CPU time without waiting for its end; what it has waited for is not in it. */
static uint64_t cpu_time(pid_t pid)
{
    struct timespec t;
    clockid_t clock;

    if (clock_getcpuclockid(pid, &clock) != 0 || clock_gettime(clock, &t) < 0)
        return 0;
    return (uint64_t)t.tv_sec * PV_NS_PER_S + (uint64_t)t.tv_nsec;
}

int pv_process_ending(struct pv_instance *instance, int listener, struct pv_instance_end *ret,
                      struct pv_err *err)
{
    struct pv_process_instance *i = own(instance);
    struct pv_process_domain *d;
    struct pv_ending ending;

    int rc = pv_ending_take(listener, &ending, err);
    if (rc <= 0)
        return rc;
    /* without a memory group only the kernel's account of the dead tells how much it needed */
    if (!i || i->ending || ending.pid != (pid_t)instance->pid || !domain_of(instance)->ends_early ||
        domain_of(instance)->slots[instance->slot].cgroup.peak_fd < 0) {
        pv_ending_pass(listener, ending.id);
        return 0;
    }
    d = domain_of(instance);
    i->ending = true;
    i->ending_id = ending.id;
    *ret = (struct pv_instance_end){
        .exited = true, .exit_code = ending.code, .cpu_ns = cpu_time((pid_t)instance->pid)};
    pv_slot_cgroup_read(&d->slots[instance->slot].cgroup, ret);
    return 1;
}

void pv_process_let_end(struct pv_instance *instance, int listener)
{
    pv_ending_pass(listener, own(instance)->ending_id);
}

int pv_process_reap(struct pv_instance *instance, struct pv_instance_end *ret, struct pv_err *err)
{
    struct pv_process_instance *i = own(instance);
    struct pv_process_domain *d = domain_of(instance);
    struct pv_err why = PV_ERR_INIT;
    struct rusage usage;
    int status;

    if (instance->pid == 0)
        return no_child(i, err);
    if (wait4((pid_t)instance->pid, &status, 0, &usage) < 0)
        return pv_fail(err, errno, "collect instance %lld", (long long)instance->pid);
    i->reaped = true;
    *ret = (struct pv_instance_end){
        .exited = WIFEXITED(status),
        .exit_code = WIFEXITED(status) ? (uint32_t)WEXITSTATUS(status) : 0,
        .signal = WIFSIGNALED(status) ? (uint32_t)WTERMSIG(status) : 0,
        .cpu_ns = nanoseconds(&usage.ru_utime) + nanoseconds(&usage.ru_stime),
        .peak_bytes = (uint64_t)usage.ru_maxrss * 1024,
    };
    pv_slot_cgroup_read(&d->slots[instance->slot].cgroup, ret);
    read_report(i);
    if (i->report.error) {
        (void)pv_sandbox_explain(&i->report, d->argv[0], &why);
        (void)snprintf(ret->start_error, sizeof ret->start_error, "%.255s", why.text);
        ret->start_failed = true;
    }
    return 0;
}

void pv_process_destroy(struct pv_instance *instance)
{
    struct pv_process_instance *i = own(instance);

    struct pv_process_domain *d;
    struct pv_process_slot *slot;

    if (!i)
        return;
    d = domain_of(instance);
    slot = &d->slots[instance->slot];
    pv_process_await(instance);
    settle(i);
    if (!i->reaped && instance->pid > 0) {
        pv_process_kill(instance);
        (void)waitpid((pid_t)instance->pid, NULL, 0);
    }
    slot->taken = false;
    if (slot->mounts_fd >= 0)
        pv_worker_post(d->closer, &slot->drop);
    pv_instance_close_stdin(instance);
    pv_close_fd_(&instance->stdout_fd);
    pv_close_fd_(&instance->stderr_fd);
    pv_close_fd_(&instance->exit_fd);
    pv_close_fd_(&instance->zygote.listener);
    pv_close_fd_(&i->control);
    free(i);
}
