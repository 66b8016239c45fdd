/* One enclave host through its life: how it decides, what the gateway may ask of it, and what it
 * does when the auditor is slow. */
#include "host_test.h"

#include "pv/clock.h"

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* A shell that starts a program, and a program that never reads: neither makes a deployment wait
 * for the start limit of ten seconds. */
void probes_decide_early(void **state)
{
    uint64_t from = pv_now_mono_ns();
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    spec_of_command(&s, "/bin/sh", "-c");
    assert_int_equal(pv_str_list_add(&s.argv, "cat; true", PV_ARGV_MAX, NULL), 0);
    start(&d, &s);
    assert_string_equal(d.mode, "exec");
    stop(&d, &s);
    spec_of(&s, "spin");
    start(&d, &s);
    assert_string_equal(d.mode, "exec");
    assert_string_equal(d.reason, "it does not read stdin within 1 second");
    stop(&d, &s);
    assert_true(pv_now_mono_ns() - from < 8 * PV_NS_PER_S);
}

void calls_are_cancelled(void **state)
{
    struct pv_call_id first, second;
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    spec_of(&s, "spin");
    s.prepare = PV_PREPARE_EXEC;
    s.concurrency = s.prepared = 1;
    start(&d, &s);
    first = driver_invoke(&d, NULL, 0, "", 0, 5000);
    second = driver_invoke(&d, NULL, 0, "", 0, 5000);
    driver_cancel(&d, &second); /* it waits in the queue */
    driver_result(&d, &r);
    assert_true(pv_call_id_equal(&r.call, &second));
    assert_int_equal(r.outcome, PV_OUT_CANCELLED);
    driver_cancel(&d, &first);
    driver_result(&d, &r);
    assert_true(pv_call_id_equal(&r.call, &first));
    assert_int_equal(r.outcome, PV_OUT_CANCELLED);
    driver_cancel(&d, &first); /* nobody's any more: no harm */
    stop(&d, &s);
    assert_true(d.n_events[PV_K_INVOCATION_BEGIN] <= 1);
}

/* Drained while replacements are being made: their slots' descriptors are of the instances before
 * and must not be closed again. */
void hosts_stop_while_making(void **state)
{
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    for (int round = 0; round < 20; round++) {
        spec_of(&s, "echo");
        s.prepared = 3;
        start(&d, &s);
        for (int i = 0; i < 6 + round; i++)
            driver_invoke(&d, NULL, 0, "x", 1, 5000);
        for (int i = 0; i < 6 + round; i++) {
            driver_result(&d, &r);
            assert_int_equal(r.outcome, PV_OUT_OK);
        }
        stop(&d, &s);
    }
}

/* What an invocation leaves in the network must not arrive as the next one's. */
void connections_end_with_their_call(void **state)
{
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    spec_of(&s, "linger");
    s.concurrency = s.prepared = 1;
    start(&d, &s);
    for (int round = 0; round < 4; round++) {
        driver_invoke(&d, NULL, 0, "x", 1, 5000);
        (void)usleep(50000);
        assert_int_equal(kill(d.pid, SIGSTOP), 0); /* so that nobody accepts */
        (void)usleep(150000);
        assert_int_equal(kill(d.pid, SIGCONT), 0);
        driver_result(&d, &r);
        driver_events(&d);
        unsigned before = d.n_events[PV_K_CONNECTION];
        driver_invoke(&d, NULL, 0, "w", 1, 5000);
        driver_result(&d, &r);
        assert_int_equal(r.outcome, PV_OUT_OK);
        driver_events(&d);
        assert_int_equal(d.n_events[PV_K_CONNECTION], before);
    }
    stop(&d, &s);
}

void hosts_scale(void **state)
{
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    spec_of(&s, "echo");
    s.prepared = 1;
    start(&d, &s);
    driver_scale(&d, 3);
    driver_scale(&d, 1);
    driver_invoke(&d, NULL, 0, "x", 1, 2000);
    driver_result(&d, &r);
    assert_int_equal(r.outcome, PV_OUT_OK);
    stop(&d, &s);
}

void cpu_is_limited(void **state)
{
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    spec_of(&s, "spin");
    s.prepare = PV_PREPARE_EXEC;
    s.cpu_millis = 100;
    start(&d, &s);
    driver_invoke(&d, NULL, 0, "", 0, 1000);
    driver_result(&d, &r);
    assert_int_equal(r.outcome, PV_OUT_TIMEOUT);
    /* a tenth of a second and what one period lets slip */
    if (d.cgroups[0][0])
        assert_true(r.cpu_ns < 400 * PV_NS_PER_MS);
    stop(&d, &s);
}

static void make_file(const char *dir, const char *name, const char *text)
{
    char path[512];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void show(struct host_driver *d, const char *path, const char *expected)
{
    struct host_result r;

    driver_invoke(d, NULL, 0, path, strlen(path), 2000);
    driver_result(d, &r);
    assert_int_equal(r.outcome, PV_OUT_OK);
    assert_string_equal(r.body, expected);
}

void given_roots_are_used(void **state)
{
    char root[] = "/tmp/provost-root-XXXXXX", path[64];
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    assert_non_null(mkdtemp(root));
    assert_int_equal(chmod(root, 0755), 0);
    snprintf(path, sizeof path, "%s/data", root);
    assert_int_equal(mkdir(path, 0755), 0);
    make_file(path, "note", "of this root");
    make_file(root, "top", "too");
    spec_of(&s, "show");
    snprintf(s.root_dir, sizeof s.root_dir, "%s", root);
    start(&d, &s);
    show(&d, "/data/note", "of this root");
    show(&d, "/top", "too");
    show(&d, "/etc/passwd", "(none)");
    show(&d, "/usr/bin/env", "(none)");
    stop(&d, &s);
    snprintf(path, sizeof path, "%s/data/note", root);
    unlink(path);
    snprintf(path, sizeof path, "%s/data", root);
    rmdir(path);
    snprintf(path, sizeof path, "%s/top", root);
    unlink(path);
    rmdir(root);
}

/* Nothing runs that could not be recorded: with the auditor asleep the host stops taking requests,
 * loses none of them, and goes on when it wakes. */
void a_full_ring_holds_requests_back(void **state)
{
    enum { MANY = 20000, WINDOW = 16 };
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;
    int sent = 0, got = 0;

    (void)state;
    spec_of(&s, "echo");
    s.timeout_ms = 60000;
    start(&d, &s);
    for (;; got++) {
        for (; sent - got < WINDOW; sent++)
            driver_invoke(&d, NULL, 0, "x", 1, 60000);
        assert_true(sent < MANY);
        if (!driver_result_within(&d, 2000, &r))
            break;
        assert_int_equal(r.outcome, PV_OUT_OK);
    }
    assert_true(got > 1000);
    for (; got < sent; got++) {
        driver_events(&d);
        driver_result(&d, &r);
        assert_int_equal(r.outcome, PV_OUT_OK);
    }
    stop(&d, &s);
    assert_int_equal(d.n_events[PV_K_INVOCATION_END], sent);
}
