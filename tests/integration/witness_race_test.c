/* Ways around the witness and races against it: each attempt must be recorded with the object that
 * the kernel took. PV_RACE_ROUNDS: operations per race (20000 by hand, fewer in CI). */
#include "witness_harness.h"

#include <linux/io_uring.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>

static int rounds(void)
{
    const char *text = getenv("PV_RACE_ROUNDS");
    long n = text ? strtol(text, NULL, 10) : 2000;

    return n > 0 && n <= 20000 ? (int)n : 2000;
}

/* --- run in a child of this program, under the probes --- */

static char flipping[8] = "file-a";
static atomic_bool stop;

static void *flip(void *unused)
{
    (void)unused;
    while (!atomic_load_explicit(&stop, memory_order_relaxed)) {
        __atomic_store_n(&flipping[5], 'b', __ATOMIC_RELAXED);
        __atomic_store_n(&flipping[5], 'a', __ATOMIC_RELAXED);
    }
    return NULL;
}

/* Removes one of two files, whichever the kernel sees; says which it was. */
static int race_unlink(void)
{
    pthread_t thread;
    unsigned long removed[2] = {0, 0};

    if (pthread_create(&thread, NULL, flip, NULL) != 0)
        return 1;
    for (int i = 0; i < rounds(); i++) {
        struct stat st[2];
        const char *const names[2] = {"file-a", "file-b"};

        for (int k = 0; k < 2; k++) {
            pv_autoclose int fd = open(names[k], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
            if (fd < 0 || fstat(fd, &st[k]) != 0)
                return 2;
        }
        if (unlink(flipping) != 0)
            return 3;
        removed[access("file-a", F_OK) == 0]++;
    }
    atomic_store(&stop, true);
    (void)pthread_join(thread, NULL);
    FILE *f = fopen("removed", "we");
    if (!f)
        return 4;
    (void)fprintf(f, "%lu %lu\n", removed[0], removed[1]);
    (void)fclose(f);
    return 0;
}

/* Opens one of two files and says, by the inode it got, which. */
static bool open_one(const char *name, const struct stat *a)
{
    char c;
    pv_autoclose int fd = open(name, O_RDONLY | O_CLOEXEC);
    struct stat st;
    pv_autoclose int out = open("opened", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    return fd >= 0 && out >= 0 && read(fd, &c, 1) == 1 && fstat(fd, &st) == 0 &&
           c == (st.st_ino == a->st_ino ? 'a' : 'b') && write(out, &c, 1) == 1;
}

static int race_open(void)
{
    pthread_t thread;
    struct stat a;

    if (stat("file-a", &a) != 0 || pthread_create(&thread, NULL, flip, NULL) != 0)
        return 1;
    for (int i = 0; i < rounds(); i++)
        if (!open_one(flipping, &a))
            return 2;
    atomic_store(&stop, true);
    (void)pthread_join(thread, NULL);
    /* on a busy machine the race may always go one way */
    return open_one("file-a", &a) && open_one("file-b", &a) ? 0 : 3;
}

static int act_memfd(void)
{
    char *const argv[] = {(char[]){"hidden"}, NULL};
    int in = open("/bin/true", O_RDONLY | O_CLOEXEC);
    int fd = memfd_create("hidden", MFD_CLOEXEC);
    char buffer[65536];
    ssize_t n;

    if (in < 0 || fd < 0)
        return 1;
    while ((n = read(in, buffer, sizeof buffer)) > 0)
        if (write(fd, buffer, (size_t)n) != n)
            return 2;
    (void)fexecve(fd, argv, environ);
    return 3;
}

/* A secret's descriptor goes to a child over a socket; the child reads it. */
static int act_passing(void)
{
    int pair[2];
    char byte = 'x';
    union {
        struct cmsghdr header;
        char room[CMSG_SPACE(sizeof(int))];
    } control = {.room = {0}};
    struct iovec iov = {&byte, 1};
    struct msghdr m = {.msg_iov = &iov,
                       .msg_iovlen = 1,
                       .msg_control = &control,
                       .msg_controllen = sizeof control};

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return 1;
    pid_t pid = fork();
    if (pid == 0) {
        char text[64];
        int fd = -1;

        if (recvmsg(pair[1], &m, 0) != 1)
            _exit(2);
        memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&m)), sizeof fd);
        _exit(read(fd, text, sizeof text) > 0 ? 0 : 3);
    }
    int secret = open("secret", O_RDONLY | O_CLOEXEC);
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof secret);
    memcpy(CMSG_DATA(c), &secret, sizeof secret);
    int status = 1;
    if (sendmsg(pair[0], &m, 0) != 1 || waitpid(pid, &status, 0) != pid)
        return 4;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 5;
}

/* One openat by io_uring, without liburing. 99: the kernel refuses io_uring. */
static int act_uring(void)
{
    struct io_uring_params p = {0};
    int fd = (int)syscall(SYS_io_uring_setup, 4, &p);

    if (fd < 0)
        return 99;
    size_t bytes = p.sq_off.array + p.sq_entries * sizeof(unsigned);
    char *ring = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
    struct io_uring_sqe *sqe = mmap(NULL, p.sq_entries * sizeof *sqe, PROT_READ | PROT_WRITE,
                                    MAP_SHARED, fd, IORING_OFF_SQES);
    if (ring == MAP_FAILED || (void *)sqe == MAP_FAILED)
        return 1;
    memset(sqe, 0, sizeof *sqe);
    sqe->opcode = IORING_OP_OPENAT;
    sqe->fd = AT_FDCWD;
    sqe->addr = (uint64_t)(uintptr_t) "secret";
    sqe->open_flags = O_RDONLY;
    *(unsigned *)(void *)(ring + p.sq_off.array) = 0;
    __atomic_store_n((unsigned *)(void *)(ring + p.sq_off.tail), 1, __ATOMIC_RELEASE);
    return syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) == 1 ? 0 : 2;
}

static const struct act acts[] = {
    {"race-unlink", race_unlink}, {"race-open", race_open}, {"memfd", act_memfd},
    {"passing", act_passing},     {"uring", act_uring},
};

/* --- what the witness says of it --- */

static uint64_t proc_of(pid_t pid)
{
    long i = with_number(PV_K_PROC_FORK, "host_pid", (uint64_t)pid);

    assert_true(i >= 0);
    return number_of((size_t)i, "proc");
}

static uint64_t exit_code_of(pid_t pid)
{
    long i = with_number(PV_K_PROC_EXIT, "proc", proc_of(pid));

    assert_true(i >= 0);
    return number_of((size_t)i, "code");
}

/* Every removal is told once, with the file that is gone. */
static void test_unlink_race(void **state)
{
    unsigned long removed[2];
    size_t told[2] = {0, 0};

    (void)state;
    needs(PV_BPF_HAS_NAMES);
    pid_t pid = run("/proc/self/exe", "race-unlink", NULL);
    collect(true);
    assert_int_equal(exit_code_of(pid), 0);
    FILE *f = fopen(at("removed"), "re");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &removed[0], &removed[1]), 2);
    (void)fclose(f);
    for (long i = next_of(0, PV_K_NAME_OP); i >= 0; i = next_of((size_t)i + 1, PV_K_NAME_OP)) {
        if (!text_is((size_t)i, "op", "unlink"))
            continue;
        told[0] += text_is((size_t)i, "path", at("file-a"));
        told[1] += text_is((size_t)i, "path", at("file-b"));
    }
    printf("removed %lu and %lu\n", removed[0], removed[1]);
    assert_int_equal(told[0], removed[0]);
    assert_int_equal(told[1], removed[1]);
    assert_int_equal(next_of(0, PV_K_GAP), -1);
}

/* Each read is of the object whose content it brought: both were opened, and the sums agree. */
static void test_open_race(void **state)
{
    uint64_t reads[2] = {0, 0};
    unsigned long want[2] = {0, 0};
    int c;

    (void)state;
    put_file("file-a", "a");
    put_file("file-b", "b");
    pid_t pid = run("/proc/self/exe", "race-open", NULL);
    collect(true);
    assert_int_equal(exit_code_of(pid), 0);
    FILE *f = fopen(at("opened"), "re");
    assert_non_null(f);
    while ((c = fgetc(f)) != EOF)
        want[c == 'b']++;
    (void)fclose(f);
    const uint64_t objects[2] = {object_at(at("file-a")), object_at(at("file-b"))};
    /* a single operation since the last total stands in its edge */
    for (size_t i = 0; i < log_of.n; i++)
        for (int k = 0; k < 2; k++)
            if (log_of.e[i].kind == PV_K_IO_TOTAL && number_of(i, "object") == objects[k])
                reads[k] += number_of(i, "read_ops");
    printf("opened %lu and %lu\n", want[0], want[1]);
    for (int k = 0; k < 2; k++) {
        assert_true(want[k] == 0 || edge(PV_K_READ, 0, objects[k], 0) >= 0);
        assert_true(reads[k] == want[k] || reads[k] + 1 == want[k]);
    }
}

static void test_memfd_exec(void **state)
{
    (void)state;
    pid_t pid = run("/proc/self/exe", "memfd", NULL);
    collect(true);
    assert_int_equal(exit_code_of(pid), 0);
    long i = with_text(PV_K_OBJECT, "type", "memfd");
    assert_true(i >= 0);
    assert_true(with_number(PV_K_PROC_EXEC, "object", number_of((size_t)i, "object")) >= 0);
}

static void test_descriptor_passing(void **state)
{
    (void)state;
    pid_t pid = run("/proc/self/exe", "passing", NULL);
    collect(true);
    assert_int_equal(exit_code_of(pid), 0);
    long i = with_number(PV_K_PROC_FORK, "parent", proc_of(pid));
    assert_true(i >= 0);
    assert_true(edge(PV_K_READ, number_of((size_t)i, "proc"), object_at(at("secret")), 0) >= 0);
}

static void test_uring_open(void **state)
{
    (void)state;
    needs(PV_BPF_HAS_URING);
    pid_t pid = run("/proc/self/exe", "uring", NULL);
    collect(true);
    uint64_t code = exit_code_of(pid);
    if (code == 99) {
        printf("io_uring is not to be had here\n");
        skip();
    }
    assert_int_equal(code, 0);
    long i = with_text(PV_K_FOREIGN_ENTRY, "entry", "io_uring");
    assert_true(i >= 0 && number_of((size_t)i, "syscall") == IORING_OP_OPENAT);
    needs(PV_BPF_HAS_NAMES); /* what was opened is known since the same Linux */
    assert_true(edge(PV_K_OPEN, proc_of(pid), object_at(at("secret")), 0) >= 0);
}

/* How a child ended, a signal, and what is read of another in /proc are influences. */
static void test_influence(void **state)
{
    (void)state;
    pid_t pid = run("/bin/sh", "-c", "/bin/sleep 5 & /bin/cat /proc/$!/comm; kill $!; wait $!", NULL);
    collect(true);
    uint64_t shell = proc_of(pid);
    long i = with_text(PV_K_INFLUENCE, "how", "signal");
    assert_true(i >= 0 && number_of((size_t)i, "proc") == shell);
    uint64_t sleeper = number_of((size_t)i, "target");
    i = with_text(PV_K_INFLUENCE, "how", "proc-file");
    assert_true(i >= 0 && number_of((size_t)i, "proc") == sleeper);
    i = with_text(PV_K_INFLUENCE, "how", "end");
    assert_true(i >= 0 && number_of((size_t)i, "target") == shell);
}

static int write_inputs(void **state)
{
    (void)state;
    put_file("secret", "the secret\n");
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        run_act(argv[1], acts, sizeof acts / sizeof acts[0]);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unlink_race, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_open_race, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_memfd_exec, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_descriptor_passing, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_uring_open, with_probe, without_probe),
        cmocka_unit_test_setup_teardown(test_influence, with_probe, without_probe),
    };

    return RUN_WITNESS_TESTS("witness race", tests, write_inputs);
}
