/* Parts of the enclave that need no enclave: a slot's cgroup files under v1 and v2 (a plain
 * directory stands in for them), and the rotation of a function's log. */
#include "cgroup.h"
#include "logfile.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char dir[] = "/tmp/provost-parts-XXXXXX";

static void put(const char *name, const char *text)
{
    char path[128];
    FILE *f;

    snprintf(path, sizeof path, "%s/%s", dir, name);
    f = fopen(path, "w");
    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

static void open_slot(struct pv_slot_cgroup *c, enum pv_cgroup_mode mode)
{
    struct pv_spec spec = {.cpu_millis = 500};
    struct pv_slot_paths paths;
    struct pv_domain_config config = {.spec = &spec, .n_slots = 1, .cgroup_mode = mode};
    struct pv_err err = PV_ERR_INIT;

    snprintf(paths.memory, sizeof paths.memory, "%s", dir);
    memcpy(paths.pids, paths.memory, sizeof paths.pids);
    memcpy(paths.cpu, paths.memory, sizeof paths.cpu);
    config.slots = &paths;
    put("cgroup.procs", "");
    put("pids.max", "max");
    assert_int_equal(pv_slot_cgroup_open(c, &config, 0, &err), 0);
}

static void version_2(void **state)
{
    struct pv_instance_end end = {0};
    struct pv_slot_cgroup c;

    (void)state;
    put("memory.events", "low 0\nhigh 0\nmax 7\noom 3\noom_kill 2\noom_group_kill 0\n");
    put("memory.peak", "4096\n");
    put("pids.events", "max 5\n");
    open_slot(&c, PV_CGROUP_V2);
    assert_true(c.procs[0] >= 0);
    assert_int_equal(c.procs[1], -1); /* one hierarchy, one joining */
    assert_int_equal(c.procs[2], -1);
    pv_slot_cgroup_read(&c, &end);
    assert_int_equal(end.oom_kills, 0); /* what happened before is not this instance's */
    assert_int_equal(end.pids_denied, 0);
    assert_int_equal(end.peak_bytes, 4096);
    put("memory.events", "low 0\nhigh 0\nmax 7\noom 4\noom_kill 3\noom_group_kill 0\n");
    put("pids.events", "max 9\n");
    pv_slot_cgroup_read(&c, &end);
    assert_int_equal(end.oom_kills, 1);
    assert_int_equal(end.pids_denied, 4);
    pv_slot_cgroup_close(&c);
}

static void version_1(void **state)
{
    struct pv_instance_end end = {0};
    struct pv_slot_cgroup c;

    (void)state;
    put("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n");
    put("memory.max_usage_in_bytes", "8192\n");
    put("pids.events", "max 0\n");
    open_slot(&c, PV_CGROUP_V1);
    assert_true(c.procs[0] >= 0 && c.procs[1] >= 0 && c.procs[2] >= 0);
    pv_slot_cgroup_read(&c, &end);
    assert_int_equal(end.peak_bytes, 8192);
    put("memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    pv_slot_cgroup_read(&c, &end);
    assert_int_equal(end.oom_kills, 2);
    pv_slot_cgroup_start(&c); /* the peak starts over */
    pv_slot_cgroup_close(&c);
}

static void logs_keep_their_last_half(void **state)
{
    static char line[1024];
    struct pv_log_lines lines = {0};
    struct pv_log_file log;
    char path[128], tail[64] = "";
    struct stat st;

    (void)state;
    snprintf(path, sizeof path, "%s/log", dir);
    int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    pv_log_file_init(&log, fd);
    for (unsigned i = 0; i < PV_LOG_FILE_MAX / 1000 + 100; i++) {
        memset(line, 'x', sizeof line);
        int n = snprintf(line, sizeof line, "line %u", i);
        line[n] = ' ';
        line[sizeof line - 1] = '\n';
        pv_log_lines_add(&log, &lines, NULL, line, sizeof line);
    }
    pv_log_lines_add(&log, &lines, NULL, "the last line\n", 14);
    assert_int_equal(fstat(fd, &st), 0);
    assert_true((uint64_t)st.st_size <= PV_LOG_FILE_MAX);
    assert_true((uint64_t)st.st_size >= PV_LOG_FILE_MAX / 2);
    assert_int_equal((uint64_t)st.st_size, log.len_bytes);
    assert_true(fcntl(fd, F_GETFL) & O_APPEND);
    assert_int_equal(pread(fd, tail, 14, st.st_size - 14), 14);
    assert_string_equal(tail, "the last line\n");
    close(fd);
}

static int make_dir(void **state)
{
    (void)state;
    return mkdtemp(dir) ? 0 : -1;
}

static int drop_dir(void **state)
{
    static const char *const names[] = {"cgroup.procs",
                                        "memory.events",
                                        "memory.peak",
                                        "pids.events",
                                        "memory.oom_control",
                                        "log",
                                        "memory.max_usage_in_bytes"};
    char path[128];

    (void)state;
    for (unsigned i = 0; i < sizeof names / sizeof *names; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        unlink(path);
    }
    return rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(version_2),
        cmocka_unit_test(version_1),
        cmocka_unit_test(logs_keep_their_last_half),
    };

    return cmocka_run_group_tests(tests, make_dir, drop_dir);
}
