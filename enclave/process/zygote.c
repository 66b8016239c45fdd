#include "zygote.h"

#include "ending.h"
#include "identity.h"
#include "nursery.h"
#include "pass_fd.h"
#include "seccomp.h"
#include "spawn.h"
#include "stat.h"
#include "tracee.h"
#include "unforkable.h"
#include "zygote_list.h"

#include "pv/clock.h"
#include "pv/io.h"
#include "pv/own.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>

#ifndef PR_GET_TID_ADDRESS
#define PR_GET_TID_ADDRESS 40
#endif
enum { SYSCALL_BYTES = 2 /* of the instruction */, MEMORY = 4096 + PV_ZYGOTE_LIST_BYTES };
#define START_LIMIT_NS PV_NS_PER_S
#define MAKE_LIMIT_NS (5 * PV_NS_PER_S)
#define FORK_LIMIT_NS (5 * PV_NS_PER_S)
#define LOOK_NS 200000l
#define ALL_SIGNALS (~0ull)

extern const uint8_t pv_zygote_code[];
extern const uint64_t pv_zygote_code_bytes;

struct pv_zygote {
    struct pv_tracee self; /* pid 0: it was not started */
    struct pv_nursery nursery;
    int pidfd, control, listener;
    uint64_t control_inode;             /* of the end that it keeps */
    bool let_through;                   /* it was resumed and has not been awaited since */
    struct user_regs_struct first_read; /* as they are when it enters its first read */
    uint64_t mask;                      /* its signal mask there */
    struct pv_environment_place place;
};

static inline void free_zygote(struct pv_zygote **z)
{
    pv_zygote_free(*z);
}
#define autozygote __attribute__((cleanup(free_zygote)))

void pv_zygote_free(struct pv_zygote *z)
{
    if (!z)
        return;
    if (z->self.pid > 0) {
        pv_tracee_bury(z->self.pid, z->pidfd);
        /* a child that it died too early to tell of is in its process group still */
        (void)kill(-z->self.pid, SIGKILL);
        while (waitid(P_PGID, (id_t)z->self.pid, &(siginfo_t){0}, WEXITED | __WALL) == 0 ||
               errno == EINTR)
            ;
    }
    pv_nursery_close(&z->nursery);
    pv_close_fd_(&z->pidfd);
    pv_close_fd_(&z->control);
    pv_close_fd_(&z->listener);
    free(z);
}

/* --- starting --- */

/* What it sends first: who listens for its exits, or why it could not become the program. */
static int take_listener(struct pv_zygote *z, const struct pv_process_domain *d, struct pv_err *err)
{
    struct pv_sandbox_report report;
    ssize_t n;

    do
        n = recv(z->control, &report, sizeof report, MSG_PEEK);
    while (n < 0 && errno == EINTR && !pv_patience_over(z->self.patience));
    if (n == (ssize_t)sizeof report)
        return pv_sandbox_explain(&report, d->argv[0], err);
    z->listener = n < 0 ? -errno : pv_take_passed_fd(z->control);
    return z->listener < 0 ? pv_fail(err, z->listener, "listen for a zygote's end") : 0;
}

struct nursery_job {
    struct pv_job job;
    struct pv_nursery *nursery;
    struct pv_err err;
    int rc;
};

static void open_nursery(struct pv_job *job)
{
    struct nursery_job *j = PV_CONTAINER(job, struct nursery_job, job);

    j->rc = pv_nursery_open(j->nursery, &j->err);
}

/* The tracer has entered others. */
static int have_nursery(struct pv_zygote *z, struct pv_process_domain *d, struct pv_err *err)
{
    struct nursery_job j = {
        .job = {.run = open_nursery}, .nursery = &z->nursery, .err = PV_ERR_INIT};

    pv_worker_post(d->maker, &j.job);
    pv_worker_wait(d->maker, &j.job);
    if (j.rc < 0) {
        *err = j.err;
        return j.rc;
    }
    return pv_nursery_enter(&z->nursery, err);
}

static int start(struct pv_zygote *z, struct pv_process_domain *d, struct pv_process_slot *slot,
                 struct pv_pipes *p, uint64_t secret, struct pv_zygote_facts *facts,
                 struct pv_err *err)
{
    struct sock_filter rules[PV_FILTER_MAX];
    struct sock_fprog filter = pv_filter_zygote(rules, secret);
    struct pv_sandbox_plan plan = {
        .stdio = {p->in[0], p->out[1], p->err[1]},
        .control = p->control[1],
        .netns = slot->network.netns_fd,
        .procs = slot->cgroup.procs,
        .tmp_options = d->tmp_options,
        .filter = &filter,
        .zygote = true,
        .argv = d->argv,
        .envp = (char **)(uintptr_t)d->reserved.envp,
        .n_static = d->reserved.n_static,
    };
    struct pv_process_stat st;
    struct stat socket;
    long pid;

    if (fstat(p->control[1], &socket) < 0)
        return pv_fail(err, errno, "look at a zygote's socket");
    z->control_inode = socket.st_ino;
    pid = pv_spawn(&plan, &z->pidfd);
    if (pid < 0)
        return pv_fail(err, errno, "start a zygote");
    z->self.pid = (pid_t)pid;
    PV_TRY(pv_process_stat_read(z->self.pid, &st, err));
    facts->start_ticks = st.start_ticks;
    facts->pid = pid;
    z->control = PV_TAKE_FD(p->control[0]);
    (void)close(PV_TAKE_FD(p->control[1])); /* its end shows on the other */
    return take_listener(z, d, err);
}

/* Nobody waits for a zygote's exit. */
static void pass_exit(const struct pv_zygote *z)
{
    struct pv_ending ending;

    if (pv_ending_take(z->listener, &ending, NULL) > 0)
        pv_ending_pass(z->listener, ending.id);
}

/* It is dead: what it reported, if it never became the program. */
static int explain_death(const struct pv_zygote *z, const struct pv_process_domain *d,
                         struct pv_err *err)
{
    struct pv_sandbox_report report;

    if (recv(z->control, &report, sizeof report, MSG_DONTWAIT) == (ssize_t)sizeof report)
        return pv_sandbox_explain(&report, d->argv[0], err);
    return pv_refuse(err, ENOTSUP, "it ends before it reads stdin");
}

static int await_first_read(const struct pv_zygote *z, const struct pv_process_domain *d,
                            struct pv_err *err)
{
    const struct timespec gap = {.tv_nsec = LOOK_NS};
    uint64_t end = pv_now_mono_ns() + START_LIMIT_NS;
    struct pv_process_wait wait;

    for (;;) {
        siginfo_t end_of = {0};

        pass_exit(z);
        if (waitid(P_PID, (id_t)z->self.pid, &end_of, WEXITED | WNOHANG | WNOWAIT | __WALL) < 0 ||
            end_of.si_pid != 0)
            return explain_death(z, d, err);
        /* before its exec it cannot be looked at */
        if (pv_process_wait_read(z->self.pid, &wait, NULL) == 0 && wait.on_stdin)
            return 0;
        if (atomic_load(&d->stopping) || pv_now_mono_ns() > end)
            return pv_refuse(err, ENOTSUP, "it does not read stdin within 1 second");
        (void)nanosleep(&gap, NULL);
    }
}

/* --- standing still --- */

static int write_memory(pid_t pid, uint64_t address, const void *p, size_t len, struct pv_err *err)
{
    struct iovec local = {(void *)(uintptr_t)p, len};
    struct iovec remote = {(void *)(uintptr_t)address, len};

    if (process_vm_writev(pid, &local, 1, &remote, 1, 0) != (ssize_t)len)
        return pv_fail(err, errno ? errno : EIO, "write a zygote's memory");
    return 0;
}

/* Performs a call in the stopped zygote that must not fail. */
static int call(const struct pv_zygote *z, long nr, const uint64_t args[6], uint64_t *ret,
                struct pv_err *err)
{
    int64_t r;

    PV_TRY(pv_tracee_call(&z->self, &z->first_read, z->first_read.rip, nr, args, &r, err));
    if (r < 0 && r > -4096)
        return pv_fail(err, (int)-r, "perform system call %ld in a zygote", nr);
    *ret = (uint64_t)r;
    return 0;
}

/* The registers with which it would enter its read again, for it stands inside. */
static int stop_in_read(struct pv_zygote *z, struct pv_err *err)
{
    struct user_regs_struct *r = &z->first_read;
    uint8_t insn[SYSCALL_BYTES] = {0};
    struct iovec local = {insn, sizeof insn}, remote;

    PV_TRY(pv_tracee_seize(&z->self, r, err));
    r->rip -= SYSCALL_BYTES;
    remote = (struct iovec){(void *)(uintptr_t)r->rip, sizeof insn};
    if ((int64_t)r->orig_rax < 0 ||
        process_vm_readv(z->self.pid, &local, 1, &remote, 1, 0) != (ssize_t)sizeof insn ||
        insn[0] != 0x0f || insn[1] != 0x05)
        return pv_refuse(err, ENOTSUP, "it does not wait in an ordinary system call");
    r->rax = r->orig_rax;
    r->orig_rax = ~0ull;
    PV_TRY(pv_tracee_get_mask(&z->self, &z->mask, err));
    /* a signal to a zygote is for nobody */
    return pv_tracee_set_mask(&z->self, ALL_SIGNALS, err);
}

/* What only the process itself can be asked. scratch: an address in its memory. */
static int ask(const struct pv_zygote *z, uint64_t scratch, struct pv_err *err)
{
    uint64_t timer[4], r;
    struct iovec local = {timer, sizeof timer}, remote = {(void *)(uintptr_t)scratch, sizeof timer};
    bool orphans;
    int64_t rc;

    PV_TRY(pv_tracee_call(&z->self, &z->first_read, z->first_read.rip, SYS_wait4,
                          (uint64_t[6]){~0ull, 0, WNOHANG | __WALL}, &rc, err));
    PV_TRY(pv_nursery_has_orphans(&z->nursery, &orphans, err));
    if (rc != -ECHILD || orphans)
        return pv_refuse(err, ENOTSUP, "it has started other processes before it reads stdin");
    PV_TRY(call(z, SYS_getitimer, (uint64_t[6]){0, scratch}, &r, err));
    if (process_vm_readv(z->self.pid, &local, 1, &remote, 1, 0) != (ssize_t)sizeof timer)
        return pv_fail(err, errno ? errno : EIO, "read a zygote's timer");
    if (timer[2] || timer[3])
        return pv_refuse(err, ENOTSUP, "it has set an alarm before it reads stdin");
    return 0;
}

/* Where the C library keeps the thread's id, 0: the kernel does not tell. */
static uint64_t thread_id_address(const struct pv_zygote *z, uint64_t scratch)
{
    uint64_t address = 0, r;
    struct iovec local = {&address, sizeof address};
    struct iovec remote = {(void *)(uintptr_t)scratch, sizeof address};

    if (call(z, SYS_prctl, (uint64_t[6]){PR_GET_TID_ADDRESS, scratch}, &r, NULL) < 0 ||
        process_vm_readv(z->self.pid, &local, 1, &remote, 1, 0) != (ssize_t)sizeof address)
        return 0;
    return address;
}

/* Puts code and list into its memory, and lets it run into the first clone, where it is parked. */
static int park(struct pv_zygote *z, const struct pv_process_domain *d, uint64_t secret,
                struct pv_err *err)
{
    pv_autofree struct pv_zygote_list *list = malloc(sizeof *list);
    struct user_regs_struct r = z->first_read;
    uint64_t code, tid, unused;

    if (!list)
        return pv_fail(err, ENOMEM, "make a zygote");
    PV_TRY(call(
        z, SYS_mmap,
        (uint64_t[6]){0, MEMORY, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, ~0ull, 0},
        &code, err));
    PV_TRY(ask(z, code, err));
    tid = thread_id_address(z, code);
    PV_TRY(pv_zygote_list_make(list, code + PV_ZYGOTE_CODE_BYTES, d->tmp_options, d->landlock_abi,
                               err));
    PV_TRY(write_memory(z->self.pid, code, pv_zygote_code, pv_zygote_code_bytes, err));
    PV_TRY(write_memory(z->self.pid, list->address, list->image, sizeof list->image, err));
    PV_TRY(call(z, SYS_mprotect, (uint64_t[6]){code, PV_ZYGOTE_CODE_BYTES, PROT_READ | PROT_EXEC},
                &unused, err));
    r.rip = code;
    r.r12 = CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNS | CLONE_PARENT | SIGCHLD |
            (tid ? CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID : 0);
    r.r13 = tid;
    r.r14 = list->n_calls;
    r.r15 = list->address;
    r.rbp = secret; /* in a register only, which no child keeps */
    PV_TRY(pv_tracee_set(&z->self, &r, err));
    PV_TRY(pv_tracee_resume(&z->self, err));
    return pv_tracee_await(&z->self, PTRACE_EVENT_SECCOMP, err);
}

static int stand_still(struct pv_zygote *z, struct pv_process_domain *d, const struct pv_pipes *p,
                       uint64_t secret, struct pv_err *err)
{
    PV_TRY(await_first_read(z, d, err));
    PV_TRY(stop_in_read(z, err));
    PV_TRY(pv_unforkable(z->self.pid, p, z->control_inode, err));
    PV_TRY(pv_environment_find(&d->reserved, z->self.pid, &z->place, err));
    return park(z, d, secret, err);
}

static int lend_listener(const struct pv_zygote *z, struct pv_zygote_facts *facts,
                         struct pv_err *err)
{
    facts->listener = fcntl(z->listener, F_DUPFD_CLOEXEC, 0);
    return facts->listener < 0 ? pv_fail(err, errno, "listen for the ends of a zygote's children")
                               : 0;
}

int pv_zygote_make(struct pv_zygote **ret, struct pv_process_domain *d,
                   struct pv_process_slot *slot, struct pv_zygote_facts *facts, struct pv_err *err)
{
    autozygote struct pv_zygote *z = calloc(1, sizeof *z);
    struct pv_patience *patience = &slot->breeder->patience;
    struct pv_pipes p = PV_PIPES_NONE;
    uint64_t secret = 0;
    int rc;

    if (!z)
        return pv_fail(err, ENOMEM, "make a zygote");
    z->pidfd = z->control = z->listener = -1;
    z->nursery = PV_NURSERY_NONE;
    z->self.patience = patience;
    if (getrandom(&secret, sizeof secret, 0) != (ssize_t)sizeof secret)
        return pv_fail(err, errno, "draw a random number");
    PV_TRY(pv_patience_make(patience, &d->stopping, err));
    PV_TRY(pv_patience_start(patience, MAKE_LIMIT_NS, err));
    rc = have_nursery(z, d, err);
    if (rc == 0)
        rc = pv_pipes_open(&p, true, err);
    if (rc == 0)
        rc = start(z, d, slot, &p, secret, facts, err);
    if (rc == 0)
        rc = stand_still(z, d, &p, secret, err);
    if (rc == 0)
        rc = lend_listener(z, facts, err);
    pv_pipes_close(&p);
    pv_patience_stop(patience);
    PV_TRY(rc);
    *ret = PV_TAKE_PTR(z);
    return 0;
}

/* --- instances --- */

/* Lets the parked zygote's clone through. */
static int bear(struct pv_zygote *z, pid_t *ret, struct pv_err *err)
{
    struct user_regs_struct r;

    if (z->let_through) {
        PV_TRY(pv_tracee_await(&z->self, PTRACE_EVENT_SECCOMP, err));
        z->let_through = false;
    }
    PV_TRY(pv_tracee_resume(&z->self, err));
    if (pv_tracee_await(&z->self, PTRACE_EVENT_FORK, err) < 0) {
        /* it stands before its next clone already: this one was refused */
        if (pv_tracee_get(&z->self, &r, err) == 0 && (int64_t)r.rbx < 0)
            return pv_fail(err, (int)-(int64_t)r.rbx, "fork an instance");
        return -ECHILD;
    }
    PV_TRY(pv_tracee_child(&z->self, ret, err));
    PV_TRY(pv_tracee_resume(&z->self, err));
    z->let_through = true;
    return 0;
}

static int write_line(const char *format, pid_t pid, const char *line, struct pv_err *err)
{
    char path[48];

    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, format);
    pv_autoclose int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return pv_fail(err, errno, "open '%s'", path);
    return pv_wrap(err, pv_write_all(fd, line, strlen(line), err), "write '%s'", path);
}

/* In its own user namespace the instance is whom it was before. */
static int map_identity(pid_t pid, struct pv_err *err)
{
    char line[48];

    (void)snprintf(line, sizeof line, "%d %d 1\n", PV_INNER_UID, PV_INNER_UID);
    PV_TRY(write_line("uid_map", pid, line, err));
    return write_line("gid_map", pid, line, err);
}

/* The list was not run to its end. */
static int say_failed_call(const struct pv_tracee *t, const struct user_regs_struct *r,
                           struct pv_err *err)
{
    struct pv_zygote_call failed = {0};
    struct iovec local = {&failed, sizeof failed};
    struct iovec remote = {(void *)(uintptr_t)r->r15, sizeof failed};

    (void)process_vm_readv(t->pid, &local, 1, &remote, 1, 0);
    return pv_fail(err, (int)-(int64_t)r->r12, "prepare an instance: %s",
                   pv_zygote_call_name(failed.nr));
}

/* Lets a child run its list, and then go on as the function. */
static int raise_child(const struct pv_zygote *z, pid_t pid, struct pv_err *err)
{
    const struct pv_tracee child = {pid, z->self.patience};
    struct user_regs_struct r;

    PV_TRY(pv_tracee_await(&child, PTRACE_EVENT_STOP, err));
    PV_TRY(map_identity(pid, err));
    PV_TRY(pv_tracee_resume(&child, err));
    PV_TRY(pv_tracee_await(&child, PTRACE_EVENT_SECCOMP, err));
    PV_TRY(pv_tracee_get(&child, &r, err));
    if (r.r14 != 0)
        return say_failed_call(&child, &r, err);
    PV_TRY(pv_tracee_set(&child, &z->first_read, err));
    PV_TRY(pv_tracee_set_mask(&child, z->mask, err));
    return pv_tracee_detach(&child, err);
}

static int fork_one(struct pv_zygote *z, const int stdio[3], pid_t *ret_pid, int *ret_pidfd,
                    struct pv_err *err)
{
    pv_autoclose int pidfd = -1;
    pid_t pid;
    int rc;

    rc = pv_pass_fds(z->control, stdio, 3);
    if (rc < 0)
        return pv_fail(err, rc, "hand an instance its pipes");
    PV_TRY(bear(z, &pid, err));
    pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    rc = pidfd < 0 ? pv_fail(err, errno, "hold an instance") : 0;
    if (rc == 0)
        rc = raise_child(z, pid, err);
    if (rc < 0) {
        pv_tracee_bury(pid, pidfd);
        return rc;
    }
    *ret_pid = pid;
    *ret_pidfd = PV_TAKE_FD(pidfd);
    return 0;
}

int pv_zygote_fork(struct pv_zygote *z, const int stdio[3], pid_t *ret_pid, int *ret_pidfd,
                   struct pv_environment_place *ret_place, struct pv_err *err)
{
    int rc;

    PV_TRY(pv_patience_start(z->self.patience, FORK_LIMIT_NS, err));
    rc = fork_one(z, stdio, ret_pid, ret_pidfd, err);
    pv_patience_stop(z->self.patience);
    *ret_place = z->place;
    return rc;
}
