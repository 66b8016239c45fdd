/* What the probes remember of a descriptor is never believed longer than it is true. */
#include "witness_harness.h"

#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { FD = 100, TIMES = 3, PLACES = 1024 };

/* --- run in a child of this program, under the probes --- */

static bool open_as(int fd, const char *name, int flags)
{
    int opened = open(name, O_RDWR | O_CREAT | flags, 0600);

    return opened >= 0 && dup2(opened, fd) == fd && close(opened) == 0;
}

static bool write_times(int fd)
{
    for (int i = 0; i < TIMES; i++)
        if (pwrite(fd, "x", 1, 0) != 1)
            return false;
    return true;
}

static bool read_times(int fd)
{
    char c;

    for (int i = 0; i < TIMES; i++)
        if (pread(fd, &c, 1, 0) != 1)
            return false;
    return true;
}

/* One number stands for three files and the first again. */
static int act_becomes(void)
{
    bool well = open_as(FD, "become-a", 0) && write_times(FD) && open_as(FD, "become-b", 0) &&
                write_times(FD) && close(FD) == 0 && open_as(FD, "become-c", 0) &&
                write_times(FD) && open_as(FD, "become-a", 0) && read_times(FD) &&
                write_times(FD) && close(FD) == 0;

    return well ? 0 : 1;
}

/* And for one that has taken another's name. */
static int act_replaced(void)
{
    bool well = open_as(FD, "replaced", 0) && write_times(FD) && unlink("replaced") == 0 &&
                open_as(FD, "replaced", 0) && write_times(FD) && close(FD) == 0;

    return well ? 0 : 1;
}

static int act_renamed(void)
{
    if (!open_as(FD, "name-before", 0) || !write_times(FD) || raise(SIGSTOP) != 0)
        return 1;
    return write_times(FD) ? 0 : 2;
}

static int act_map(void)
{
    void *p = mmap(NULL, 1, PROT_READ | PROT_WRITE, MAP_SHARED, FD, 0);

    return p == MAP_FAILED;
}

/* Another process maps what this one has read. */
static int act_mapped(void)
{
    int status = 0;

    if (!open_as(FD, "mapped", 0) || pwrite(FD, "x", 1, 0) != 1 || !read_times(FD))
        return 1;
    pid_t pid = fork();
    if (pid == 0) {
        (void)execl("/proc/self/exe", "witness_known_test", "map", (char *)NULL);
        _exit(127);
    }
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return 2;
    return read_times(FD) ? 0 : 3;
}

static int act_write(void)
{
    return write_times(FD) ? 0 : 1;
}

/* The same descriptor in a child, and after exec. */
static int act_inherits(void)
{
    int status = 0;

    if (!open_as(FD, "inherited", 0) || !write_times(FD))
        return 1;
    pid_t pid = fork();
    if (pid == 0)
        _exit(act_write());
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return 2;
    (void)execl("/proc/self/exe", "witness_known_test", "write", (char *)NULL);
    return 3;
}

/* As fork, with that process id. */
static pid_t fork_as(pid_t pid)
{
    struct clone_args args = {
        .exit_signal = SIGCHLD, .set_tid = (uint64_t)(uintptr_t)&pid, .set_tid_size = 1};

    return (pid_t)syscall(SYS_clone3, &args, sizeof args);
}

static int first_pipe[2], others_pipe[2];

/* A child that writes to a file and lives until the pipe is closed. */
static pid_t writer(const char *name, pid_t as, int until)
{
    char c;
    pid_t pid = as ? fork_as(as) : fork();

    if (pid != 0)
        return pid;
    (void)close(first_pipe[1]);
    (void)close(others_pipe[1]);
    bool well =
        open_as(FD, name, 0) && write_times(FD) && read(until, &c, 1) == 0 && write_times(FD);
    _exit(well ? 0 : 1);
}

static bool has_written(const char *name)
{
    struct stat st;

    for (int i = 0; i < 5000; i++) {
        if (stat(name, &st) == 0 && st.st_size > 0)
            return true;
        (void)usleep(1000);
    }
    return false;
}

/* Two that live at once under process ids of the same place, and a third under the first's. */
static int act_places(void)
{
    int status[3] = {-1, -1, -1};

    if (pipe2(first_pipe, O_CLOEXEC) != 0 || pipe2(others_pipe, O_CLOEXEC) != 0)
        return 1;
    pid_t first = writer("place-1", 0, first_pipe[0]);
    pid_t second = -1;
    for (int i = 1; i < 20 && second < 0; i++)
        second = writer("place-2", first + i * PLACES, others_pipe[0]);
    if (first < 0 || second < 0 || !has_written("place-1") || !has_written("place-2"))
        return 2;
    (void)close(first_pipe[1]);
    if (waitpid(first, &status[0], 0) != first)
        return 3;
    pid_t third = writer("place-3", first, others_pipe[0]);
    if (third != first || !has_written("place-3"))
        return 4;
    (void)close(others_pipe[1]);
    (void)waitpid(second, &status[1], 0);
    (void)waitpid(third, &status[2], 0);
    return status[0] | status[1] | status[2] ? 5 : 0;
}

/* Opened and never used, by one number: twice to read, to write, and emptied. */
static int act_opens(void)
{
    static const int flags[] = {O_RDONLY, O_RDONLY, O_RDWR, O_RDWR, O_WRONLY | O_TRUNC};

    for (size_t i = 0; i < sizeof flags / sizeof flags[0]; i++) {
        int fd = open("opened", O_CREAT | O_CLOEXEC | flags[i], 0600);

        if (fd < 0 || close(fd) != 0)
            return 1;
    }
    return open("opened/none", O_RDONLY | O_CLOEXEC) < 0 ? 0 : 2;
}

/* A pipe is read piece by piece into nothing, with a file mapped as a C library maps its tables. */
static int act_nothing(void)
{
    int ends[2];
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
    int file = open("table", O_RDONLY | O_CLOEXEC | O_CREAT, 0600);
    char c;

    if (null < 0 || file < 0 || pipe2(ends, O_CLOEXEC) != 0 ||
        mmap(NULL, 1, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED ||
        write(ends[1], "01234567", 8) != 8)
        return 1;
    for (int i = 0; i < 8; i++)
        if (read(ends[0], &c, 1) != 1 || write(null, &c, 1) != 1)
            return 2;
    return 0;
}

static const struct act acts[] = {
    {"becomes", act_becomes}, {"replaced", act_replaced}, {"renamed", act_renamed},
    {"mapped", act_mapped},   {"map", act_map},           {"inherits", act_inherits},
    {"write", act_write},     {"places", act_places},     {"opens", act_opens},
    {"nothing", act_nothing},
};

/* --- what is to be seen --- */

static uint64_t proc_of(pid_t pid)
{
    long i = with_number(PV_K_PROC_FORK, "host_pid", (uint64_t)pid);

    assert_true(i >= 0);
    return number_of((size_t)i, "proc");
}

static uint64_t run_well(const char *act)
{
    pid_t pid = run("/proc/self/exe", act, NULL);

    collect(true);
    assert_int_equal(next_of(0, PV_K_GAP), -1);
    long i = with_number(PV_K_PROC_EXIT, "proc", proc_of(pid));
    assert_true(i >= 0);
    assert_int_equal(number_of((size_t)i, "code"), 0);
    return proc_of(pid);
}

static size_t edges(unsigned kind, uint64_t proc, uint64_t object)
{
    size_t n = 0;

    for (long i = edge(kind, proc, object, 0); i >= 0; i = edge(kind, proc, object, (size_t)i + 1))
        n++;
    return n;
}

static uint64_t total(uint64_t object, const char *field)
{
    uint64_t n = 0;

    for (size_t i = 0; i < log_of.n; i++)
        if (log_of.e[i].kind == PV_K_IO_TOTAL && number_of(i, "object") == object)
            n += number_of(i, field);
    return n;
}

static void test_descriptor_becomes_another(void **state)
{
    static const char *const names[] = {"become-a", "become-b", "become-c"};

    (void)state;
    uint64_t proc = run_well("becomes");
    for (int i = 0; i < 3; i++) {
        uint64_t object = object_at(at(names[i]));

        /* the first again after it was read from */
        unsigned times = i == 0 ? 2 : 1;

        assert_int_equal(edges(PV_K_WRITE, proc, object), times);
        assert_int_equal(total(object, "write_ops"), times * TIMES);
        assert_int_equal(total(object, "write_bytes"), times * TIMES);
    }
    assert_int_equal(edges(PV_K_READ, proc, object_at(at("become-a"))), 1);
    assert_int_equal(total(object_at(at("become-a")), "read_ops"), TIMES);
    assert_int_equal(edges(PV_K_READ, proc, object_at(at("become-b"))), 0);
}

static void test_name_of_another(void **state)
{
    (void)state;
    uint64_t proc = run_well("replaced");
    size_t n = 0;
    for (size_t i = 0; i < log_of.n; i++)
        if (log_of.e[i].kind == PV_K_OBJECT && text_is(i, "path", at("replaced"))) {
            assert_int_equal(edges(PV_K_WRITE, proc, number_of(i, "object")), 1);
            n++;
        }
    assert_int_equal(n, 2);
}

static void test_renamed_by_a_stranger(void **state)
{
    int status = 0;

    (void)state;
    pid_t pid = start("/proc/self/exe", "renamed", NULL);
    assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
    assert_true(WIFSTOPPED(status));
    char before[128];
    (void)snprintf(before, sizeof before, "%s", at("name-before"));
    assert_int_equal(rename(before, at("name-after")), 0);
    assert_int_equal(kill(pid, SIGCONT), 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    collect(true);
    long i = with_text(PV_K_OBJECT, "path", before);
    assert_true(i >= 0);
    assert_int_equal(number_of((size_t)i, "object"), object_at(at("name-after")));
}

static void test_mapped_by_another(void **state)
{
    (void)state;
    uint64_t proc = run_well("mapped");
    /* one while nobody could write it unseen, each one since */
    assert_int_equal(edges(PV_K_READ, proc, object_at(at("mapped"))), 1 + TIMES);
}

static void test_inherited(void **state)
{
    (void)state;
    uint64_t proc = run_well("inherits");
    uint64_t object = object_at(at("inherited"));
    long child = with_number(PV_K_PROC_FORK, "parent", proc);
    assert_true(child >= 0);
    assert_int_equal(edges(PV_K_WRITE, number_of((size_t)child, "proc"), object), 1);
    /* before the exec and since */
    assert_int_equal(edges(PV_K_WRITE, proc, object), 2);
    assert_int_equal(total(object, "write_ops"), 3 * TIMES);
}

static void test_opened_again(void **state)
{
    static const unsigned modes[] = {O_RDONLY, O_RDONLY, O_RDWR, O_RDWR};
    size_t n = 0;

    (void)state;
    uint64_t proc = run_well("opens");
    uint64_t object = object_at(at("opened"));
    for (size_t i = 0; i < log_of.n; i++)
        if (log_of.e[i].kind == PV_K_OPEN && number_of(i, "object") == object) {
            assert_true(n < sizeof modes / sizeof modes[0]);
            assert_int_equal(number_of(i, "flags") & O_ACCMODE, modes[n++]);
        }
    assert_int_equal(n, sizeof modes / sizeof modes[0]);
    /* emptying it says that it was opened */
    assert_int_equal(edges(PV_K_WRITE, proc, object), 1);
}

/* Each piece is read behind the first edge, and nobody learns of it in between. */
static void test_into_nothing(void **state)
{
    (void)state;
    uint64_t proc = run_well("nothing");
    long i = with_text(PV_K_OBJECT, "type", "pipe");
    assert_true(i >= 0);
    uint64_t object = number_of((size_t)i, "object");
    assert_in_range(edges(PV_K_READ, proc, object), 1, 2);
    assert_int_equal(total(object, "read_ops"), 8);
}

static void test_processes_of_one_place(void **state)
{
    static const char *const names[] = {"place-1", "place-2", "place-3"};
    uint64_t procs[3] = {0};

    (void)state;
    uint64_t parent = run_well("places");
    unsigned n = 0;
    for (long i = next_of(0, PV_K_PROC_FORK); i >= 0; i = next_of((size_t)i + 1, PV_K_PROC_FORK))
        if (number_of((size_t)i, "parent") == parent && n < 3)
            procs[n++] = number_of((size_t)i, "proc");
    assert_int_equal(n, 3);
    for (int i = 0; i < 3; i++)
        for (int k = 0; k < 3; k++)
            assert_int_equal(edges(PV_K_WRITE, procs[k], object_at(at(names[i]))) > 0, i == k);
    for (int i = 0; i < 3; i++)
        assert_int_equal(total(object_at(at(names[i])), "write_ops"), 2 * TIMES);
}

static int nothing(void **state)
{
    (void)state;
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        run_act(argv[1], acts, sizeof acts / sizeof acts[0]);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_descriptor_becomes_another, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_name_of_another, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_renamed_by_a_stranger, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_mapped_by_another, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_inherited, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_opened_again, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_into_nothing, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_processes_of_one_place, with_probe, without_probe),
    };

    return RUN_WITNESS_TESTS("witness known", tests, nothing);
}
