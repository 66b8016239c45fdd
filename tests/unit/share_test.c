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

static int policy_after(struct stitcher_share *s, bool at_end, bool asked, uint64_t now_ns)
{
    (void)stitcher_share_turn(
        s, &(struct stitcher_turn){.at_end = at_end, .asked = asked, .now_ns = now_ns});
    return sched_getscheduler(0);
}

static void test_rests_only_while_it_keeps_up(void **state)
{
    struct stitcher_share s = {.autogroup_fd = -1, .policy = true};
    uint64_t t = 100 * SECOND;

    (void)state;
    need_root();
    assert_int_equal(policy_after(&s, false, false, t), SCHED_OTHER);
    assert_int_equal(policy_after(&s, true, false, t), SCHED_IDLE);
    assert_int_equal(policy_after(&s, false, false, t + 29 * SECOND), SCHED_IDLE);
    assert_int_equal(policy_after(&s, false, false, t + 31 * SECOND), SCHED_OTHER);
    /* until it has caught up, however short the last turn was ago */
    assert_int_equal(policy_after(&s, false, false, t + 31 * SECOND + 1), SCHED_OTHER);
    assert_int_equal(policy_after(&s, true, false, t + 32 * SECOND), SCHED_IDLE);
    assert_int_equal(policy_after(&s, false, true, t + 32 * SECOND), SCHED_OTHER);
    assert_int_equal(policy_after(&s, true, false, t + 33 * SECOND), SCHED_IDLE);
    stitcher_share_full(&s);
    assert_int_equal(sched_getscheduler(0), SCHED_OTHER);
}

/* A turn of 500 entries, 10 us each, 100 ms after the one before. */
static uint64_t pause_ns(struct stitcher_share *s, uint64_t grown, bool asked)
{
    struct stitcher_turn t = {
        .now_ns = s->last_ns + SECOND / 10,
        .worked_ns = 5 * PV_NS_PER_MS,
        .done = 500,
        .log_size = s->last_size + grown,
        .asked = asked,
    };

    return stitcher_share_turn(s, &t);
}

static void test_takes_a_part_of_a_busy_machine(void **state)
{
    struct stitcher_share s = {.autogroup_fd = -1, .at_end_ns = SECOND, .last_ns = SECOND};

    (void)state;
    s.rest = true;
    /* 100 ms allow 500 of them */
    assert_int_equal(pause_ns(&s, 510, false), 95 * PV_NS_PER_MS);
    assert_int_equal(pause_ns(&s, 490, false), 0);
    /* the load is over, what it left is not */
    assert_int_equal(pause_ns(&s, 0, false), 0);
    assert_int_equal(pause_ns(&s, 5000, true), 0);
    assert_int_equal(pause_ns(&s, 5000, false), 0); /* still hurries */
    s.rest = true;
    assert_int_equal(pause_ns(&s, 5000, false), 95 * PV_NS_PER_MS);
}

/* As the role does it: opened as root, used without privilege. Where even root may not raise the
 * limit, the policy stays as it is. */
static int without_privilege(void)
{
    struct stitcher_share s;

    stitcher_share_open(&s);
    if (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)
        return 1;
    int policy = policy_after(&s, true, false, SECOND);
    if (!s.rest || policy != (s.policy ? SCHED_IDLE : SCHED_OTHER))
        return 2;
    (void)usleep(200000); /* autogroups are not changed more often */
    policy = policy_after(&s, false, false, 40 * SECOND);
    if (s.rest || policy != SCHED_OTHER)
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
        cmocka_unit_test(test_takes_a_part_of_a_busy_machine),
        cmocka_unit_test(test_comes_back_without_privilege),
    };

    return cmocka_run_group_tests_name("share", tests, NULL, NULL);
}
