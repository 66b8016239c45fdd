#include "pv/privilege.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include <fcntl.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SOME_USER = 1879100001 };

/* Runs probe in a child, since the drop is for good; returns the child's exit code. */
static int in_child(int (*probe)(void))
{
    int status;
    pid_t pid = fork();

    assert_true(pid >= 0);
    if (pid == 0)
        _exit(probe());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static int drop(uint64_t keep)
{
    struct pv_err err = PV_ERR_INIT;

    return pv_privilege_drop(SOME_USER, SOME_USER, keep, &err);
}

static int nothing_is_left(void)
{
    if (drop(0) != 0)
        return 1;
    if (getuid() != SOME_USER || getegid() != SOME_USER)
        return 2;
    if (setuid(0) == 0 || setgid(0) == 0)
        return 3;
    if (open("/etc/shadow", O_RDONLY) >= 0)
        return 4;
    if (prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN, 0, 0, 0) != 0)
        return 5;
    if (prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) != 0 || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
        return 6;
    return 0;
}

/* CAP_DAC_READ_SEARCH opens what the user alone could not, CAP_SETUID was not asked for. */
static int only_the_mask_is_kept(void)
{
    if (drop(PV_CAP_MASK(CAP_DAC_READ_SEARCH)) != 0)
        return 1;
    if (open("/etc/shadow", O_RDONLY) < 0)
        return 2;
    return setuid(0) == 0 ? 3 : 0;
}

static int kept_capabilities_do_not_survive_exec(void)
{
    if (drop(PV_CAP_MASK(CAP_DAC_READ_SEARCH)) != 0)
        return 1;
    (void)execl("/bin/sh", "sh", "-c", "if cat /etc/shadow >/dev/null 2>&1; then exit 4; fi", NULL);
    return 5;
}

static int root_is_refused(void)
{
    struct pv_err err = PV_ERR_INIT;

    if (pv_privilege_drop(0, 0, 0, &err) != -EINVAL || err.text[0] == '\0')
        return 1;
    return getuid() == 0 ? 0 : 2;
}

static int a_second_identity_is_refused(void)
{
    struct pv_err err = PV_ERR_INIT;

    if (drop(0) != 0)
        return 1;
    return pv_privilege_drop(SOME_USER + 1, SOME_USER + 1, 0, &err) < 0 ? 0 : 2;
}

static int unknown_capabilities_are_refused(void)
{
    return drop(1ull << 63) == -EINVAL ? 0 : 1;
}

#define CHILD_TEST(name)                                                                           \
    static void test_##name(void **state)                                                          \
    {                                                                                              \
        (void)state;                                                                               \
        assert_int_equal(in_child(name), 0);                                                       \
    }
CHILD_TEST(nothing_is_left)
CHILD_TEST(only_the_mask_is_kept)
CHILD_TEST(kept_capabilities_do_not_survive_exec)
CHILD_TEST(root_is_refused)
CHILD_TEST(a_second_identity_is_refused)
CHILD_TEST(unknown_capabilities_are_refused)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_left),
        cmocka_unit_test(test_only_the_mask_is_kept),
        cmocka_unit_test(test_kept_capabilities_do_not_survive_exec),
        cmocka_unit_test(test_root_is_refused),
        cmocka_unit_test(test_a_second_identity_is_refused),
        cmocka_unit_test(test_unknown_capabilities_are_refused),
    };

    if (geteuid() != 0) {
        print_message("skipped: changing user takes root\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
