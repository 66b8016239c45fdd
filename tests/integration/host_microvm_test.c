/* Instances that are micro-VMs: the same answers as of processes, the same limits by other means.
 */
#include "host_test.h"

#include "pv/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static void need_kvm(void)
{
    if (access("/dev/kvm", R_OK | W_OK) == 0)
        return;
    printf("skipped: no /dev/kvm here\n");
    skip();
}

static void microvm_of(struct pv_spec *s, const char *program)
{
    spec_of(s, program);
    s->class = PV_CLASS_MICROVM;
}

static void ask(struct host_driver *d, const char *body, const char *answer)
{
    struct host_result r;

    driver_invoke(d, NULL, 0, body, strlen(body), 5000);
    driver_result(d, &r);
    assert_int_equal(r.outcome, PV_OUT_OK);
    assert_string_equal(r.body, answer);
}

/* One request to a program of its own host. */
static void run_once(const char *program, const char *argument, struct host_result *ret,
                     struct host_driver *d)
{
    char path[64];
    struct pv_spec s;

    (void)snprintf(path, sizeof path, "/function/%s", program);
    spec_of_command(&s, path, argument);
    s.class = PV_CLASS_MICROVM;
    start(d, &s);
    assert_string_equal(d->mode, "microvm");
    driver_invoke(d, NULL, 0, "x", 1, 1000);
    driver_result(d, ret);
    stop(d, &s);
}

void microvms_answer(void **state)
{
    static char big[300000];
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    need_kvm();
    memset(big, 'b', sizeof big);
    spec_of(&s, "echo");
    s.class = PV_CLASS_AUTO;
    start(&d, &s);
    assert_string_equal(d.mode, "microvm");
    for (int i = 0; i < 50; i++)
        ask(&d, "hello", "hello");
    driver_invoke(&d, NULL, 0, big, sizeof big, 5000);
    driver_result(&d, &r);
    assert_int_equal(r.outcome, PV_OUT_OK);
    assert_int_equal(r.body_len, sizeof big);
    ask(&d, "", "");
    stop(&d, &s);
    assert_int_equal(d.n_events[PV_K_INVOCATION_BEGIN], 52);
    assert_int_equal(d.n_events[PV_K_SNAPSHOT], 1);
}

void microvms_get_their_variables(void **state)
{
    static const char env[] = "Http_Method=POST\0Http_X_Secret_Header=a b c\0CONTENT_LENGTH=7";
    static const char names[] = "Http_Method Http_X_Secret_Header CONTENT_LENGTH Http_Query";
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    need_kvm();
    microvm_of(&s, "env");
    start(&d, &s);
    for (int i = 0; i < 5; i++) {
        driver_invoke(&d, env, sizeof env, names, sizeof names - 1, 5000);
        driver_result(&d, &r);
        assert_int_equal(r.outcome, PV_OUT_OK);
        assert_string_equal(r.body, "Http_Method=POST\nHttp_X_Secret_Header=a b c\n"
                                    "CONTENT_LENGTH=7\nHttp_Query=(none)\n");
        ask(&d, "Http_Method", "Http_Method=(none)\n");
    }
    stop(&d, &s);
}

/* Threads that take turns, by a timer; and names that are longer than an event may be. */
void microvms_compute_and_go_deep(void **state)
{
    static const char *const what[] = {"compute", "deep", "heap"};
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    need_kvm();
    for (int n = 0; n < 3; n++) {
        spec_of_command(&s, "/function/before", what[n]);
        s.class = PV_CLASS_MICROVM;
        start(&d, &s);
        for (int i = 0; i < 3; i++)
            ask(&d, "x", "1\n");
        stop(&d, &s);
    }
}

void microvms_are_cancelled(void **state)
{
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    need_kvm();
    spec_of_command(&s, "/function/before", "endless");
    s.class = PV_CLASS_MICROVM;
    start(&d, &s);
    for (int i = 0; i < 3; i++) {
        struct pv_call_id call = driver_invoke(&d, NULL, 0, "x", 1, 60000);

        usleep(20000 * (unsigned)i + 3000);
        driver_cancel(&d, &call);
        driver_result(&d, &r);
        assert_int_equal(r.outcome, PV_OUT_CANCELLED);
    }
    stop(&d, &s);
}

void microvms_carry_no_state(void **state)
{
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    need_kvm();
    spec_of_command(&s, "/function/before", "tmp");
    s.class = PV_CLASS_MICROVM;
    start(&d, &s);
    for (int i = 0; i < 50; i++)
        ask(&d, "x", "1\n");
    stop(&d, &s);
}

void microvms_have_limits(void **state)
{
    struct host_result r;
    struct host_driver d;

    (void)state;
    need_kvm();
    run_once("crash", "", &r, &d);
    assert_int_equal(r.outcome, PV_OUT_SIGNAL);
    assert_int_equal(r.signal, 11);
    run_once("flood", "", &r, &d);
    assert_int_equal(r.outcome, PV_OUT_OUTPUT);
    assert_int_equal(r.body_len, 0);
    run_once("memory_hog", "", &r, &d);
    assert_int_equal(r.outcome, PV_OUT_MEMORY);
    assert_int_equal(d.n_events[PV_K_LIMIT], 1);
    run_once("before", "endless", &r, &d);
    assert_int_equal(r.outcome, PV_OUT_TIMEOUT);
    assert_true(r.duration_ns >= 900 * PV_NS_PER_MS && r.duration_ns < 2000 * PV_NS_PER_MS);
}

/* A VM that failed is not used again, and its slot is. */
void microvms_are_replaced(void **state)
{
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    need_kvm();
    microvm_of(&s, "crash");
    s.concurrency = s.prepared = 1;
    start(&d, &s);
    for (int i = 0; i < 5; i++) {
        driver_invoke(&d, NULL, 0, "x", 1, 5000);
        driver_result(&d, &r);
        assert_int_equal(r.outcome, PV_OUT_SIGNAL);
    }
    stop(&d, &s);
}

/* What does not fit runs as a process, and the reason is told. */
void misfits_run_as_processes(void **state)
{
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    need_kvm();
    spec_of(&s, "early_env");
    s.class = PV_CLASS_AUTO;
    start(&d, &s);
    assert_string_equal(d.mode, "exec");
    assert_non_null(strstr(d.reason, "no microvm: it has made use of its environment"));
    stop(&d, &s);
    spec_of(&s, "before");
    s.class = PV_CLASS_AUTO;
    start(&d, &s);
    assert_string_equal(d.mode, "zygote");
    assert_non_null(strstr(d.reason, "no microvm: it can start other programs"));
    stop(&d, &s);
    spec_of(&s, "absent");
    s.class = PV_CLASS_MICROVM;
    start(&d, &s);
    assert_string_equal(d.mode, "failed");
    assert_non_null(strstr(d.reason, "/function/absent"));
    stop(&d, &s);
}

void microvms_connect_through_brokers(void **state)
{
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    need_kvm();
    microvm_of(&s, "connect");
    start(&d, &s);
    driver_invoke(&d, NULL, 0, "ping", 4, 5000);
    driver_result(&d, &r);
    assert_int_equal(r.outcome, PV_OUT_OK);
    assert_string_equal(r.body, "pong");
    stop(&d, &s);
    assert_int_equal(d.n_events[PV_K_CONNECTION], 1);
}
