/* Instances that are forked from a zygote: when a function can have one, and what comes of it. */
#include "host_test.h"

#include "pv/domain.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void before(struct pv_spec *s, const char *what)
{
    spec_of_command(s, "/function/before", what);
}

static void answers_once(struct host_driver *d)
{
    struct host_result r;

    driver_invoke(d, NULL, 0, "x", 1, 5000);
    driver_result(d, &r);
    assert_int_equal(r.outcome, PV_OUT_OK);
    assert_string_equal(r.body, "1\n");
}

/* What a fork would lack or share is found, and named. */
void unforkable_programs_are_found_out(void **state)
{
    static const struct {
        const char *what, *reason;
    } cases[] = {
        {"thread", "it has started threads"},  {"file", "it has opened files"},
        {"tmp", "it has written to /tmp"},     {"write", "it writes"},
        {"memory", "it shares memory"},        {"alarm", "it has set an alarm"},
        {"process", "it has started other"},   {"timer", "it has made a timer"},
        {"orphan", "it has started other"},    {"bomb", "it has started other"},
        {"filter", "it filters system calls"}, {"reader", "it shares memory"},
        {"socket", "it has opened files"},     {"directory", "it has gone to /tmp"},
    };
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof *cases; i++) {
        before(&s, cases[i].what);
        start(&d, &s);
        assert_string_equal(d.mode, "first-read");
        if (!strstr(d.reason, cases[i].reason))
            fail_msg("%s: '%s'", cases[i].what, d.reason);
        driver_invoke(&d, NULL, 0, "x", 1, 5000);
        driver_result(&d, &r);
        assert_int_equal(r.outcome, PV_OUT_OK);
        assert_non_null(strstr(r.body, "1\n"));
        stop(&d, &s);
    }
    before(&s, "thread");
    s.prepare = PV_PREPARE_ZYGOTE;
    start(&d, &s);
    assert_string_equal(d.mode, "failed");
    assert_string_equal(d.reason, "it has started threads before it reads stdin");
    stop(&d, &s);
}

/* Also when it has tried before to have a child that is not its own. */
void zygotes_carry_no_state(void **state)
{
    static const char *const what[] = {"nothing", "brother"};
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    for (int n = 0; n < 2; n++) {
        before(&s, what[n]);
        start(&d, &s);
        assert_string_equal(d.mode, "zygote");
        for (int i = 0; i < 20; i++)
            answers_once(&d);
        stop(&d, &s);
    }
}

static long number_in(const char *status, const char *key)
{
    const char *p = strstr(status, key);

    return p ? strtol(p + strlen(key), NULL, 10) : -1;
}

/* Kills what the host traces; returns how many there were. */
static int kill_zygotes(pid_t host)
{
    DIR *proc = opendir("/proc");
    int n = 0;

    for (const struct dirent *e; proc && (e = readdir(proc));) {
        char path[300], status[4096];
        FILE *f;

        snprintf(path, sizeof path, "/proc/%s/status", e->d_name);
        f = e->d_name[0] >= '1' && e->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        if (!f)
            continue;
        status[fread(status, 1, sizeof status - 1, f)] = 0;
        fclose(f);
        if (number_in(status, "\nPPid:") == host && number_in(status, "\nTracerPid:") > 0)
            n += kill((pid_t)strtol(e->d_name, NULL, 10), SIGKILL) == 0;
    }
    if (proc)
        closedir(proc);
    return n;
}

/* The memory limit may choose a zygote to die. */
void zygotes_are_replaced(void **state)
{
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    before(&s, "nothing");
    start(&d, &s);
    for (int round = 0; round < 5; round++) {
        for (int i = 0; i < 6; i++)
            answers_once(&d);
        assert_true(kill_zygotes(d.pid) > 0);
    }
    for (int i = 0; i < 6; i++)
        answers_once(&d);
    stop(&d, &s);
}

/* A zygote stands in its slot's group and is not to be counted. */
void zygotes_leave_the_process_limit_as_it_is(void **state)
{
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    before(&s, "nothing");
    s.processes = 1;
    start(&d, &s);
    assert_string_equal(d.mode, "zygote");
    for (int i = 0; i < 6; i++)
        answers_once(&d);
    stop(&d, &s);
    assert_int_equal(d.n_events[PV_K_LIMIT], 0);
}

/* A request with more variables than a waiting instance has room for makes its host give that up,
 * even while it is being made; the next ones are served as before. */
void zygotes_outlive_large_requests(void **state)
{
    static char env[PV_FIRST_READ_ENV_BYTES + 100];
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    memset(env, 'v', sizeof env - 1);
    env[1] = '=';
    before(&s, "nothing");
    s.concurrency = 1;
    s.prepared = 1;
    start(&d, &s);
    for (int i = 0; i < 8; i++) {
        driver_invoke(&d, env, sizeof env, "x", 1, 5000);
        driver_result(&d, &r);
        assert_int_equal(r.outcome, PV_OUT_OK);
        answers_once(&d);
    }
    stop(&d, &s);
}
