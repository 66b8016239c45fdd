#include "sandbox.h"

#include "landlock.h"
#include "pass_fd.h"
#include "zygote_list.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>

/* Descriptors while setting up: stdio and one more. */
enum { FD_CONTROL = 3, FD_END };

static _Noreturn void give_up(int control, enum pv_sandbox_step step, int error)
{
    struct pv_sandbox_report r = {(int32_t)step, (int32_t)error};

    (void)send(control, &r, sizeof r, MSG_NOSIGNAL);
    /* exit_group would wait for somebody to take notice */
    for (;;)
        (void)syscall(SYS_exit, 127);
}

static void need(int rc, enum pv_sandbox_step step)
{
    if (rc < 0)
        give_up(FD_CONTROL, step, errno);
}

/* Joins what the slot's descriptors stand for. */
static void enter_slot(const struct pv_sandbox_plan *p)
{
    for (int i = 0; i < 3; i++)
        if (p->procs[i] >= 0 && write(p->procs[i], "0", 1) != 1)
            give_up(p->control, PV_STEP_CGROUP, errno);
    if (setns(p->netns, CLONE_NEWNET) < 0)
        give_up(p->control, PV_STEP_NETWORK, errno);
}

/* Moves what is needed to fixed numbers and closes everything else, before anything slow: copies
 * of other instances' pipes would keep those open. The owner's own descriptors fill the numbers
 * up to FD_END, so no source stands where another goes. */
static void arrange_descriptors(const struct pv_sandbox_plan *p)
{
    const int from[FD_END] = {p->stdio[0], p->stdio[1], p->stdio[2], p->control};

    for (int i = 0; i < FD_END; i++)
        if (from[i] < FD_END || dup3(from[i], i, i > 2 ? O_CLOEXEC : 0) < 0)
            give_up(p->control, PV_STEP_DESCRIPTORS, errno);
    if (syscall(SYS_close_range, FD_END, ~0u, 0) < 0)
        give_up(FD_CONTROL, PV_STEP_DESCRIPTORS, errno);
    if (p->zygote)
        need(dup2(FD_CONTROL, PV_ZYGOTE_CONTROL_FD), PV_STEP_DESCRIPTORS);
}

/* The owner may have died before PDEATHSIG was set: then the other end of control is closed. */
static void die_with_owner(void)
{
    char c;

    need(prctl(PR_SET_PDEATHSIG, SIGKILL), PV_STEP_PRIVILEGES);
    if (recv(FD_CONTROL, &c, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
        _exit(127);
}

/* A process group reaches across pid namespaces: in the owner's, kill(0, SIGKILL) would be the end
 * of the owner and of every other instance, all of them of one user. The session stays the owner's:
 * with it goes what the scheduler shares out, so that functions get equal parts and not instances.
 */
static void leave_group(void)
{
    need(setpgid(0, 0), PV_STEP_PRIVILEGES);
}

static void mount_own(const struct pv_sandbox_plan *p)
{
    need(mount("tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, p->tmp_options), PV_STEP_MOUNT);
    need(mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=invisible"),
         PV_STEP_MOUNT);
    need(chdir("/function"), PV_STEP_MOUNT);
}

/* Only ever downwards. */
static int lower(enum __rlimit_resource resource, struct rlimit l)
{
    struct rlimit now;

    if (getrlimit(resource, &now) < 0)
        return -errno;
    l.rlim_max = l.rlim_max < now.rlim_max ? l.rlim_max : now.rlim_max;
    l.rlim_cur = l.rlim_cur < l.rlim_max ? l.rlim_cur : l.rlim_max;
    return setrlimit(resource, &l) < 0 ? -errno : 0;
}

int pv_sandbox_take_limits(struct pv_err *err)
{
    static const struct {
        enum __rlimit_resource resource;
        struct rlimit limit;
    } limits[] = {
        {RLIMIT_CORE, {0, 0}},
        {RLIMIT_MEMLOCK, {1u << 20, 1u << 20}},
        {RLIMIT_MSGQUEUE, {0, 0}},
        {RLIMIT_SIGPENDING, {1024, 1024}},
    };

    for (unsigned i = 0; i < sizeof limits / sizeof *limits; i++) {
        int rc = lower(limits[i].resource, limits[i].limit);

        if (rc < 0)
            return pv_fail(err, rc, "set resource limits");
    }
    return 0;
}

static void take_limits(void)
{
    errno = -lower(RLIMIT_NOFILE, (struct rlimit){1024, 4096});
    need(errno ? -1 : 0, PV_STEP_LIMITS);
    /* the owner ignores it, and exec would keep that */
    need(signal(SIGPIPE, SIG_DFL) == SIG_ERR ? -1 : 0, PV_STEP_LIMITS);
}

enum {
    LISTEN = SECCOMP_FILTER_FLAG_NEW_LISTENER,
    LISTEN_KILLABLE = SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
};

bool pv_sandbox_ends_early(void)
{
    /* flags are looked at before the filter */
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, LISTEN_KILLABLE, NULL) < 0 &&
           errno == EFAULT;
}

static void load_filter(const struct pv_sandbox_plan *p)
{
    unsigned flags = !p->zygote ? 0 : pv_sandbox_ends_early() ? LISTEN_KILLABLE : LISTEN;
    int listener = (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, p->filter);

    need(listener, PV_STEP_SECCOMP);
    if (!p->zygote)
        return;
    errno = -pv_pass_fds(FD_CONTROL, &listener, 1);
    need(errno ? -1 : 0, PV_STEP_SECCOMP);
}

static void drop_privileges(const struct pv_sandbox_plan *p)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3];

    memset(none, 0, sizeof none);
    /* the bounding set was emptied by the owner */
    need((int)syscall(SYS_capset, &h, none), PV_STEP_PRIVILEGES);
    need(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), PV_STEP_PRIVILEGES);
    /* it would keep a zygote's children from mounting; they take it upon themselves */
    if (!p->zygote) {
        errno = -pv_landlock_restrict(p->landlock_abi);
        need(errno ? -1 : 0, PV_STEP_LANDLOCK);
    }
    load_filter(p);
}

/* Waits for the request's variables and appends them to envp. */
static void pass_gate(const struct pv_sandbox_plan *p)
{
    struct pv_sandbox_report at_gate = {PV_STEP_AT_GATE, 0};
    unsigned n = p->n_static;

    if (access(p->argv[0], X_OK) < 0)
        give_up(FD_CONTROL, PV_STEP_EXEC, errno);
    need(send(FD_CONTROL, &at_gate, sizeof at_gate, MSG_NOSIGNAL) < 0 ? -1 : 0, PV_STEP_GATE);
    ssize_t len = recv(FD_CONTROL, p->request_env, PV_REQUEST_ENV_MAX, 0);
    if (len <= 0)
        _exit(127);
    p->request_env[len] = 0;
    for (char *s = p->request_env; s < p->request_env + len && n + 1 < p->max_env;
         s += strlen(s) + 1)
        if (*s)
            p->envp[n++] = s;
    p->envp[n] = NULL;
}

_Noreturn void pv_sandbox_run(const struct pv_sandbox_plan *p)
{
    enter_slot(p);
    arrange_descriptors(p);
    die_with_owner();
    leave_group();
    mount_own(p);
    take_limits();
    drop_privileges(p);
    if (p->gate)
        pass_gate(p);
    (void)execve(p->argv[0], p->argv, p->envp);
    give_up(FD_CONTROL, PV_STEP_EXEC, errno);
}
