/* The stitcher's share of the processors, as the kernel has it. */
#include "stitcher.h"

#include "pv/clock.h"

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { NOBODY = 65534 };
static const uint64_t SECOND = PV_NS_PER_S;

static void need_root(void)
{
    if (geteuid() == 0)
        return;
    print_message("skipped: only root may come back from SCHED_IDLE or raise the limit on that\n");
    skip();
}

static void test_rests_only_while_it_keeps_up(void **state)
{
    struct stitcher_share s = {.autogroup_fd = -1, .policy = true};
    uint64_t t = 100 * SECOND;

    (void)state;
    need_root();
    stitcher_share_turn(&s, false, false, t);
    assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
    stitcher_share_turn(&s, true, false, t);
    assert_int_equal(sched_getscheduler(0), SCHED_IDLE);
    stitcher_share_turn(&s, false, false, t + 9 * SECOND);
    assert_int_equal(sched_getscheduler(0), SCHED_IDLE);
    stitcher_share_turn(&s, false, false, t + 11 * SECOND);
    assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
    /* until it has caught up, however short the last turn was ago */
    stitcher_share_turn(&s, false, false, t + 11 * SECOND + 1);
    assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
    stitcher_share_turn(&s, true, false, t + 12 * SECOND);
    assert_int_equal(sched_getscheduler(0), SCHED_IDLE);
    stitcher_share_turn(&s, false, true, t + 12 * SECOND);
    assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
    stitcher_share_turn(&s, true, false, t + 13 * SECOND);
    assert_int_equal(sched_getscheduler(0), SCHED_IDLE);
    stitcher_share_full(&s);
    assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
}

/* As the role does it: opened as root, used without privilege. Where even root may not raise the
 * limit, the policy stays as it is. */
static int without_privilege(void)
{
    struct stitcher_share s;

    stitcher_share_open(&s);
    if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
        return 1;
    stitcher_share_turn(&s, true, false, SECOND);
    if (!s.rest || sched_getscheduler(0) != (s.policy ? SCHED_IDLE : SCHED_OTHER))
        return 2;
    (void)usleep(200000); /* autogroups are not changed more often */
    stitcher_share_turn(&s, false, false, 20 * SECOND);
    if (s.rest || sched_getscheduler(0) != SCHED_OTHER)
        return 3;
    stitcher_share_close(&s);
    return 0;
}

static void test_comes_back_without_privilege(void **state)
{
    int status = -1;

    (void)state;
    need_root();
    pid_t pid = fork();
    if (pid == 0)
        _exit(without_privilege());
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rests_only_while_it_keeps_up),
        cmocka_unit_test(test_comes_back_without_privilege),
    };

    return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
