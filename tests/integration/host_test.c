/* One enclave host under honest and hostile programs. With --bench N WINDOW PROGRAM PREPARE it
 * prints the throughput of N requests instead, WINDOW at a time. */
#include "host_test.h"

#include "pv/clock.h"

#include <dirent.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

const char *host_path, *programs;

void spec_of(struct pv_spec *s, const char *program)
{
    char path[256];

    pv_spec_init(s);
    strncpy(s->name, "test", sizeof s->name - 1);
    snprintf(path, sizeof path, "/function/%s", program);
    assert_int_equal(pv_str_list_add(&s->argv, path, PV_ARGV_MAX, NULL), 0);
    s->concurrency = 3;
    s->prepared = 2;
    s->timeout_ms = 5000;
    s->memory_bytes = 32u << 20;
    s->output_bytes = 1u << 20;
    s->processes = 16;
    s->class = PV_CLASS_PROCESS;
}

void start(struct host_driver *d, struct pv_spec *s)
{
    driver_start(d, host_path, programs, s, true);
}

void stop(struct host_driver *d, struct pv_spec *s)
{
    assert_int_equal(driver_stop(d), 0);
    /* nothing begins without an end, nothing is prepared without being destroyed */
    assert_int_equal(d->n_events[PV_K_INVOCATION_BEGIN], d->n_events[PV_K_INVOCATION_END]);
    assert_int_equal(d->n_events[PV_K_INSTANCE_PREPARED], d->n_events[PV_K_INSTANCE_DESTROYED]);
    assert_int_equal(d->n_events[PV_K_DOMAIN_OPEN], 1);
    assert_int_equal(d->n_events[PV_K_DOMAIN_CLOSE], 1);
    pv_spec_done(s);
}

/* One request to a program of its own host. */
static void run_once(const char *program, enum pv_prepare prepare, const char *body,
                     struct host_result *ret, struct host_driver *d)
{
    struct pv_spec s;

    spec_of(&s, program);
    s.prepare = prepare;
    start(d, &s);
    driver_invoke(d, NULL, 0, body, strlen(body), 2000);
    driver_result(d, ret);
    stop(d, &s);
}

static void echoes(void **state)
{
    static char big[300000];
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    memset(big, 'b', sizeof big);
    spec_of(&s, "echo");
    start(&d, &s);
    assert_string_equal(d.mode, "zygote");
    for (int i = 0; i < 20; i++) {
        driver_invoke(&d, NULL, 0, "hello", 5, 2000);
        driver_result(&d, &r);
        assert_int_equal(r.outcome, PV_OUT_OK);
        assert_string_equal(r.body, "hello");
    }
    driver_invoke(&d, NULL, 0, big, sizeof big, 2000);
    driver_result(&d, &r);
    assert_int_equal(r.outcome, PV_OUT_OK);
    assert_int_equal(r.body_len, sizeof big);
    driver_invoke(&d, NULL, 0, "", 0, 2000);
    driver_result(&d, &r);
    assert_int_equal(r.outcome, PV_OUT_OK);
    assert_int_equal(r.body_len, 0);
    stop(&d, &s);
    assert_int_equal(d.n_events[PV_K_INVOCATION_BEGIN], 22);
}

static void environment(enum pv_prepare prepare, const char *mode)
{
    static const char env[] = "Http_Method=POST\0Http_X_Secret_Header=a b c\0CONTENT_LENGTH=7";
    static const char ask[] =
        "Http_Method Http_X_Secret_Header CONTENT_LENGTH STATIC Http_Query PROVOST_RESERVE PATH";
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    spec_of(&s, "env");
    s.prepare = prepare;
    assert_int_equal(pv_str_list_add(&s.env, "STATIC=yes", PV_ENV_MAX, NULL), 0);
    start(&d, &s);
    assert_string_equal(d.mode, mode);
    driver_invoke(&d, env, sizeof env, ask, sizeof ask - 1, 2000);
    driver_result(&d, &r);
    assert_int_equal(r.outcome, PV_OUT_OK);
    assert_string_equal(r.body, "Http_Method=POST\nHttp_X_Secret_Header=a b c\nCONTENT_LENGTH=7\n"
                                "STATIC=yes\nHttp_Query=(none)\nPROVOST_RESERVE=(none)\n"
                                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
                                "\n");
    stop(&d, &s);
}

/* More variables than a prepared instance has room for. */
static void large_environment(void)
{
    static char env[40000];
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    memset(env, 'v', sizeof env - 1);
    memcpy(env, "LARGE=", 6);
    spec_of(&s, "env");
    start(&d, &s);
    assert_string_equal(d.mode, "zygote");
    driver_invoke(&d, env, sizeof env, "LARGE", 5, 2000);
    driver_result(&d, &r);
    assert_int_equal(r.outcome, PV_OUT_OK);
    assert_int_equal(r.body_len, sizeof env);
    stop(&d, &s);
}

static void environment_arrives(void **state)
{
    (void)state;
    large_environment();
    environment(PV_PREPARE_AUTO, "zygote");
    environment(PV_PREPARE_FIRST_READ, "first-read");
    environment(PV_PREPARE_EXEC, "exec");
}

static void early_readers_are_found_out(void **state)
{
    static const char env[] = "CONTENT_LENGTH=3";
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    spec_of(&s, "early_env");
    start(&d, &s);
    assert_string_equal(d.mode, "exec");
    driver_invoke(&d, env, sizeof env, "abcdef", 6, 2000);
    driver_result(&d, &r);
    assert_string_equal(r.body, "3");
    stop(&d, &s);
}

static void limits_of(enum pv_prepare prepare)
{
    struct host_result r;
    struct host_driver d;

    run_once("crash", prepare, "x", &r, &d);
    assert_int_equal(r.outcome, PV_OUT_SIGNAL);
    assert_int_equal(r.signal, 11);
    run_once("flood", prepare, "x", &r, &d);
    assert_int_equal(r.outcome, PV_OUT_OUTPUT);
    assert_int_equal(r.body_len, 0);
    assert_int_equal(d.n_events[PV_K_LIMIT], 1);
    if (!d.cgroups[0][0])
        return;
    run_once("memory_hog", prepare, "x", &r, &d);
    assert_int_equal(r.outcome, PV_OUT_MEMORY);
    assert_int_equal(d.n_events[PV_K_LIMIT], 1);
    run_once("fork_bomb", prepare, "x", &r, &d);
    assert_int_equal(r.outcome, PV_OUT_OK);
    assert_string_equal(r.body, "15\n");
    assert_int_equal(d.n_events[PV_K_LIMIT], 1);
}

static void limits(void **state)
{
    struct host_result r;
    struct host_driver d;

    (void)state;
    limits_of(PV_PREPARE_ZYGOTE);
    limits_of(PV_PREPARE_FIRST_READ);
    run_once("spin", PV_PREPARE_EXEC, "x", &r, &d);
    assert_int_equal(r.outcome, PV_OUT_TIMEOUT);
    assert_true(r.duration_ns >= 1900 * PV_NS_PER_MS && r.duration_ns < 4000 * PV_NS_PER_MS);
}

static void nothing_escapes(void **state)
{
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    spec_of(&s, "escape");
    start(&d, &s);
    for (int i = 0; i < 4; i++) {
        driver_invoke(&d, NULL, 0, "x", 1, 2000);
        driver_result(&d, &r);
        assert_string_equal(r.body, "done\n");
        assert_int_equal(r.outcome, PV_OUT_OK);
    }
    stop(&d, &s);
}

static void connections_belong_to_calls(void **state)
{
    struct host_result r;
    struct host_driver d;

    (void)state;
    run_once("connect", PV_PREPARE_AUTO, "ping", &r, &d);
    assert_int_equal(r.outcome, PV_OUT_OK);
    assert_string_equal(r.body, "pong");
    assert_int_equal(d.n_events[PV_K_CONNECTION], 1);
}

static void bad_commands_are_explained(void **state)
{
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    for (int prepare = PV_PREPARE_AUTO; prepare <= PV_PREPARE_EXEC; prepare++) {
        spec_of(&s, "absent");
        s.prepare = (enum pv_prepare)prepare;
        start(&d, &s);
        assert_string_equal(d.mode, "failed");
        assert_non_null(strstr(d.reason, "cannot execute '/function/absent'"));
        stop(&d, &s);
    }
}

void spec_of_command(struct pv_spec *s, const char *command, const char *argument)
{
    spec_of(s, "x");
    free(s->argv.v[0]);
    s->argv.n = 0;
    assert_int_equal(pv_str_list_add(&s->argv, command, PV_ARGV_MAX, NULL), 0);
    assert_int_equal(pv_str_list_add(&s->argv, argument, PV_ARGV_MAX, NULL), 0);
}

/* The driver hands the programs' directory over as the one of secrets, too. */
static void secrets_are_mounted(void **state)
{
    char path[4096];
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;
    FILE *f;

    (void)state;
    snprintf(path, sizeof path, "%s/note", programs);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs("hush", f) >= 0);
    assert_int_equal(fclose(f), 0);
    spec_of_command(&s, "/bin/cat", "/var/openfaas/secrets/note");
    assert_int_equal(pv_str_list_add(&s.secrets, "note", PV_GRANTS_MAX, NULL), 0);
    start(&d, &s);
    assert_string_equal(d.mode, "exec");
    driver_invoke(&d, NULL, 0, "", 0, 2000);
    driver_result(&d, &r);
    assert_string_equal(r.body, "hush");
    stop(&d, &s);
    assert_int_equal(d.n_events[PV_K_SECRET_MOUNTED], 1);
    unlink(path);
}

/* The children of all threads of a process, as one line of numbers. */
static void list_children(pid_t pid, char *out, size_t cap)
{
    char path[384];
    size_t len = 0;
    DIR *tasks;

    snprintf(path, sizeof path, "/proc/%d/task", (int)pid);
    tasks = opendir(path);
    assert_non_null(tasks);
    for (const struct dirent *e = readdir(tasks); e; e = readdir(tasks)) {
        FILE *f;

        snprintf(path, sizeof path, "/proc/%d/task/%s/children", (int)pid, e->d_name);
        f = e->d_name[0] == '.' ? NULL : fopen(path, "r");
        if (!f)
            continue;
        len += fread(out + len, 1, cap - 1 - len, f);
        fclose(f);
    }
    closedir(tasks);
    out[len] = 0;
    assert_true(len > 0);
}

/* Instances die with their host, however it dies. */
static void nothing_outlives_the_host(void **state)
{
    struct host_driver d;
    struct pv_spec s;
    char path[64], text[4096];
    int status;

    (void)state;
    spec_of(&s, "echo");
    start(&d, &s);
    usleep(50000);
    list_children(d.pid, text, sizeof text);
    assert_int_equal(kill(d.pid, SIGKILL), 0);
    usleep(50000);
    for (char *p = text, *end; *p; p = end + (*end == ' ')) {
        long child = strtol(p, &end, 10);

        if (end == p)
            break;
        snprintf(path, sizeof path, "/proc/%ld/exe", child);
        assert_true(access(path, F_OK) < 0);
    }
    status = driver_stop(&d);
    assert_true(WIFSIGNALED(status));
    pv_spec_done(&s);
}

/* More at once than there are slots, of every kind. */
static void many_at_once(void **state)
{
    struct host_result r;
    struct host_driver d;
    struct pv_spec s;

    (void)state;
    spec_of(&s, "echo");
    start(&d, &s);
    for (int i = 0; i < 200; i++)
        driver_invoke(&d, NULL, 0, "many", 4, 20000);
    for (int i = 0; i < 200; i++) {
        driver_result(&d, &r);
        assert_int_equal(r.outcome, PV_OUT_OK);
        assert_string_equal(r.body, "many");
    }
    stop(&d, &s);
    assert_int_equal(d.n_events[PV_K_INVOCATION_END], 200);
}

static enum pv_prepare prepare_of(const char *name)
{
    return strcmp(name, "zygote") == 0       ? PV_PREPARE_ZYGOTE
           : strcmp(name, "first-read") == 0 ? PV_PREPARE_FIRST_READ
           : strcmp(name, "exec") == 0       ? PV_PREPARE_EXEC
                                             : PV_PREPARE_AUTO;
}

static int bench(int n, int window, const char *program, const char *how)
{
    static struct host_result r;
    struct host_driver d;
    struct pv_spec s;
    uint64_t from, worst = 0, sum = 0;
    int sent = 0, got = 0;

    spec_of(&s, program);
    s.prepare = prepare_of(how);
    s.class = strcmp(how, "microvm") == 0 ? PV_CLASS_MICROVM : PV_CLASS_PROCESS;
    s.concurrency = s.prepared = window == 1 ? 2 : 4;
    start(&d, &s);
    printf("mode %s: %s\n", d.mode, d.reason);
    from = pv_now_mono_ns();
    for (; got < n; got++) {
        for (; sent < n && sent - got < window; sent++)
            driver_invoke(&d, NULL, 0, "hello", 5, 5000);
        driver_result(&d, &r);
        if (r.outcome != PV_OUT_OK)
            printf("%s: %s\n", pv_outcome_name(r.outcome), r.message);
        sum += r.duration_ns;
        worst = r.duration_ns > worst ? r.duration_ns : worst;
        if (got % 256 == 0)
            driver_events(&d);
    }
    uint64_t took = pv_now_mono_ns() - from;
    printf("%d requests, window %d: %.0f/s, mean %.3f ms in host, worst %.3f ms, cpu %.3f ms\n", n,
           window, (double)n * 1e9 / (double)took, (double)sum / n / 1e6, (double)worst / 1e6,
           (double)r.cpu_ns / 1e6);
    int status = driver_stop(&d);
    struct rusage u;
    (void)getrusage(RUSAGE_CHILDREN, &u);
    printf("cpu of host and instances: %.3f ms a request\n",
           (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1e3 / n +
               (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e3 / n);
    return status;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echoes),
        cmocka_unit_test(environment_arrives),
        cmocka_unit_test(early_readers_are_found_out),
        cmocka_unit_test(limits),
        cmocka_unit_test(nothing_escapes),
        cmocka_unit_test(connections_belong_to_calls),
        cmocka_unit_test(bad_commands_are_explained),
        cmocka_unit_test(secrets_are_mounted),
        cmocka_unit_test(nothing_outlives_the_host),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(probes_decide_early),
        cmocka_unit_test(calls_are_cancelled),
        cmocka_unit_test(hosts_stop_while_making),
        cmocka_unit_test(connections_end_with_their_call),
        cmocka_unit_test(hosts_scale),
        cmocka_unit_test(cpu_is_limited),
        cmocka_unit_test(given_roots_are_used),
        cmocka_unit_test(unforkable_programs_are_found_out),
        cmocka_unit_test(microvms_answer),
        cmocka_unit_test(microvms_get_their_variables),
        cmocka_unit_test(microvms_compute_and_go_deep),
        cmocka_unit_test(microvms_are_cancelled),
        cmocka_unit_test(microvms_carry_no_state),
        cmocka_unit_test(microvms_have_limits),
        cmocka_unit_test(microvms_are_replaced),
        cmocka_unit_test(misfits_run_as_processes),
        cmocka_unit_test(microvms_connect_through_brokers),
        cmocka_unit_test(zygotes_leave_the_process_limit_as_it_is),
        cmocka_unit_test(zygotes_outlive_large_requests),
        cmocka_unit_test(zygotes_carry_no_state),
        cmocka_unit_test(zygotes_are_replaced),
        cmocka_unit_test(a_full_ring_holds_requests_back),
    };

    if (argc < 3)
        return 2;
    host_path = argv[1];
    programs = argv[2];
    if (geteuid() != 0) {
        printf("skipped: an enclave host is started by root\n");
        return 77;
    }
    if (argc > 7 && strcmp(argv[3], "--bench") == 0)
        return bench((int)strtol(argv[4], NULL, 10), (int)strtol(argv[5], NULL, 10), argv[6],
                     argv[7]);
    if (getenv("PV_TEST")) /* a pattern: only these */
        cmocka_set_test_filter(getenv("PV_TEST"));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
