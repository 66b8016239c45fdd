#include "nursery.h"

#include "pass_fd.h"

#include "pv/own.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* --- its first process: in a copy of the owner's memory, with one of its threads: bare system
 * calls only, for what stands around the C library's (a sanitizer's runtime) may be locked by a
 * thread that is not there --- */

static int give_up_privileges(void)
{
    struct __user_cap_header_struct h = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    return (int)syscall(SYS_capset, &h, none);
}

/* All descriptors but that one, which becomes 0. */
static int close_others(int socket)
{
    if (syscall(SYS_dup2, socket, 0) < 0)
        return -1;
    return (int)syscall(SYS_close_range, 1, ~0u, 0);
}

/* Whoever loses its parent becomes its child, and stays one: nobody is waited for. */
static char has_children(void)
{
    siginfo_t any;

    return syscall(SYS_waitid, P_ALL, 0, &any, WEXITED | WNOHANG | WNOWAIT | __WALL, NULL) == 0;
}

/* It hands over its namespace, for nobody else may look it up while the owner's memory is not for
 * others to see; then it answers whether it has children. */
static _Noreturn void sleep_for_good(int socket)
{
    int pid_ns = (int)syscall(SYS_openat, AT_FDCWD, "/proc/self/ns/pid", O_RDONLY | O_CLOEXEC);
    bool well = syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) == 0 && pid_ns >= 0 &&
                pv_pass_fds(socket, &pid_ns, 1) == 0 && close_others(socket) == 0 &&
                give_up_privileges() == 0;
    char c;

    while (well && syscall(SYS_recvfrom, 0, &c, 1, 0, NULL, NULL) == 1) {
        c = has_children();
        well = syscall(SYS_sendto, 0, &c, 1, MSG_NOSIGNAL, NULL, 0) == 1;
    }
    for (;;)
        (void)syscall(SYS_exit_group, well ? 0 : 127);
}

/* --- the owner --- */

static int start_init(struct pv_nursery *n, int socket, struct pv_err *err)
{
    struct clone_args args = {.flags = CLONE_NEWPID, .exit_signal = SIGCHLD};
    long pid = syscall(SYS_clone3, &args, sizeof args);

    if (pid == 0)
        sleep_for_good(socket);
    if (pid < 0)
        return pv_fail(err, errno, "make a pid namespace for a zygote");
    n->init = (pid_t)pid;
    return 0;
}

int pv_nursery_open(struct pv_nursery *n, struct pv_err *err)
{
    int pair[2], rc;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return pv_fail(err, errno, "make a socket");
    n->socket = pair[0];
    rc = start_init(n, pair[1], err);
    (void)close(pair[1]);
    PV_TRY(rc);
    n->pid_ns = pv_take_passed_fd(n->socket);
    return n->pid_ns < 0 ? pv_fail(err, n->pid_ns, "open the pid namespace of process %d", n->init)
                         : 0;
}

int pv_nursery_enter(const struct pv_nursery *n, struct pv_err *err)
{
    return setns(n->pid_ns, CLONE_NEWPID) < 0 ? pv_fail(err, errno, "enter a pid namespace") : 0;
}

int pv_nursery_has_orphans(const struct pv_nursery *n, bool *ret, struct pv_err *err)
{
    char c = 0;
    ssize_t got = send(n->socket, &c, 1, MSG_NOSIGNAL);

    while (got == 1 && (got = recv(n->socket, &c, 1, 0)) < 0 && errno == EINTR)
        got = 1;
    if (got != 1)
        return pv_fail(err, got < 0 ? errno : EPIPE, "ask for a zygote's orphans");
    *ret = c != 0;
    return 0;
}

void pv_nursery_close(struct pv_nursery *n)
{
    if (n->init > 0) {
        (void)kill(n->init, SIGKILL);
        while (waitpid(n->init, NULL, __WALL) < 0 && errno == EINTR)
            ;
    }
    pv_close_fd_(&n->pid_ns);
    pv_close_fd_(&n->socket);
    *n = PV_NURSERY_NONE;
}
