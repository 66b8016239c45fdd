/* Each role's seccomp list is in force once it is loaded: what the role has no business with is
 * refused, and what it lives on is not. The lists are the roles' own sources. */
#include "auditor.h"
#include "process/seccomp.h"
#include "stitcher.h"
#include "syscall_filter.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { HELD = 0, LOAD_FAILED = 1, STARVED = 2, FIRST_LEAK = 10 };

static int load_auditor(struct pv_err *err)
{
    return auditor_confine(true, err);
}

/* Calls with arguments that would fail otherwise too, but never with EPERM or ENOSYS. */
static const struct {
    long nr;
    long args[3];
} forbidden[] = {
    {SYS_execve, {0, 0, 0}},
    {SYS_ptrace, {PTRACE_PEEKDATA, 1, 0}},
    {SYS_mount, {0, 0, 0}},
    {SYS_setns, {-1, 0, 0}},
    {SYS_init_module, {0, 0, 0}},
    {SYS_kexec_load, {0, 99, 0}},
    {SYS_perf_event_open, {0, 0, 0}},
    {SYS_io_uring_setup, {0, 0, 0}},
    {SYS_process_vm_writev, {1, 0, 0}},
    {SYS_socket, {AF_NETLINK, SOCK_RAW, 0}},
    {SYS_socket, {AF_PACKET, SOCK_RAW, 0}},
    {SYS_keyctl, {-1, 0, 0}},
    {SYS_personality, {0xffffffff, 0, 0}},
};

static bool owners(long nr)
{
    /* The host prepares instances: it executes programs, makes their mounts, looks into their memory
     * for copies of the environment, and traces zygotes. */
    return nr == SYS_execve || nr == SYS_mount || nr == SYS_setns || nr == SYS_personality ||
           nr == SYS_process_vm_writev || nr == SYS_ptrace;
}

static int try_all(bool host)
{
    for (unsigned i = 0; i < sizeof forbidden / sizeof forbidden[0]; i++) {
        if (host && owners(forbidden[i].nr))
            continue;
        errno = 0;
        long rc = syscall(forbidden[i].nr, forbidden[i].args[0], forbidden[i].args[1],
                          forbidden[i].args[2], 0, 0);
        if (rc >= 0 || (errno != EPERM && errno != ENOSYS))
            return FIRST_LEAK + (int)i;
    }
    char byte = 0;
    return read(-1, &byte, 1) < 0 && errno == EBADF ? HELD : STARVED;
}

/* Of a call whose argument is checked, one value passes and another is refused. */
static int try_sockets(bool host)
{
    (void)host;
    errno = 0;
    if (syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0) >= 0 || errno != EPERM)
        return FIRST_LEAK;
    int inet = socket(AF_INET, SOCK_STREAM, 0), inet6 = socket(AF_INET6, SOCK_STREAM, 0);
    /* a machine may lack IPv6, which is no refusal */
    return inet >= 0 && (inet6 >= 0 || errno != EPERM) ? HELD : STARVED;
}

static int try_bpf(bool host)
{
    (void)host;
    errno = 0;
    if (syscall(SYS_bpf, BPF_MAP_CREATE, NULL, 0) >= 0 || errno != EPERM)
        return FIRST_LEAK;
    /* without privileges the kernel itself may refuse */
    if (geteuid() != 0)
        return HELD;
    return syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, NULL, 0) < 0 && errno != EPERM ? HELD : STARVED;
}

static void run(int (*load)(struct pv_err *err), int (*try)(bool), bool host)
{
    int status = -1;
    pid_t pid = fork();
    if (pid == 0) {
        struct pv_err err = PV_ERR_INIT;
        /* As in the role: root's own capabilities would pass some of these calls. */
        if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || load(&err) < 0)
            _exit(LOAD_FAILED);
        _exit(try(host));
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), HELD);
}

static void check(int (*load)(struct pv_err *err), bool host)
{
    run(load, try_all, host);
}

static void test_gateway(void **state)
{
    (void)state;
    check(gw_seccomp_load, false);
    run(gw_seccomp_load, try_sockets, false);
}

static void test_auditor(void **state)
{
    (void)state;
    check(load_auditor, false);
    run(load_auditor, try_bpf, false);
}

static void test_stitcher(void **state)
{
    (void)state;
    check(stitcher_confine, false);
}

static void test_host(void **state)
{
    (void)state;
    check(pv_filter_load_base, true);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_gateway),
        cmocka_unit_test(test_auditor),
        cmocka_unit_test(test_stitcher),
        cmocka_unit_test(test_host),
    };
    return cmocka_run_group_tests_name("confine", tests, NULL, NULL);
}
