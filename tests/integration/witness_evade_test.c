/* More ways around the witness: what a descriptor, a name, a control group or a piece of memory is
 * when the kernel uses it must be what is recorded, whatever it is made to look like before and
 * after. PV_RACE_ROUNDS: as in witness_race_test.c. */
#include "witness_harness.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/userfaultfd.h>
#include <mntent.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <time.h>

enum { PAGE = 4096, NOT_HERE = 99 };

static int rounds(void)
{
    const char *text = getenv("PV_RACE_ROUNDS");
    long n = text ? strtol(text, NULL, 10) : 1000;

    return n > 0 && n <= 20000 ? (int)n : 1000;
}

static void doze(unsigned ms)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
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

static int say_counts(const char *name, const unsigned long counts[2])
{
    FILE *f = fopen(name, "we");

    if (!f)
        return 4;
    (void)fprintf(f, "%lu %lu\n", counts[0], counts[1]);
    return fclose(f) == 0 ? 0 : 5;
}

/* Renames one of two files, whichever the kernel sees, and back; says how often it was which. */
static int act_rename(void)
{
    pthread_t thread;
    unsigned long moved[2] = {0, 0};

    if (pthread_create(&thread, NULL, flip, NULL) != 0)
        return 1;
    for (int i = 0; i < rounds(); i++) {
        if (rename(flipping, "moved") != 0)
            return 2;
        bool was_b = access("file-a", F_OK) == 0;
        moved[was_b]++;
        if (rename("moved", was_b ? "file-b" : "file-a") != 0)
            return 3;
    }
    atomic_store(&stop, true);
    (void)pthread_join(thread, NULL);
    return say_counts("renamed", moved);
}

/* A page that is missing until the kernel asks for it. */
struct slow_page {
    int fd;
    char *at;
};

static bool slow_page_open(struct slow_page *p)
{
    struct uffdio_api api = {.api = UFFD_API};

    p->at = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    p->fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
    if (p->fd < 0 || p->at == MAP_FAILED || ioctl(p->fd, UFFDIO_API, &api) != 0)
        return false;
    struct uffdio_register reg = {.range = {(uintptr_t)p->at, PAGE},
                                  .mode = UFFDIO_REGISTER_MODE_MISSING};
    return ioctl(p->fd, UFFDIO_REGISTER, &reg) == 0;
}

static bool slow_page_await(const struct slow_page *p)
{
    struct pollfd poll_fd = {.fd = p->fd, .events = POLLIN};
    struct uffd_msg m;

    return poll(&poll_fd, 1, 10000) == 1 && read(p->fd, &m, sizeof m) == sizeof m &&
           m.event == UFFD_EVENT_PAGEFAULT;
}

static bool slow_page_fill(const struct slow_page *p, const char *content)
{
    static _Alignas(PAGE) char source[PAGE];

    strncpy(source, content, sizeof source - 1);
    struct uffdio_copy copy = {.dst = (uintptr_t)p->at, .src = (uintptr_t)source, .len = PAGE};
    return ioctl(p->fd, UFFDIO_COPY, &copy) == 0;
}

static struct slow_page slow;

/* The name is there only when the kernel wants it, and another one right after. */
static void *lie(void *unused)
{
    (void)unused;
    if (slow_page_await(&slow) && slow_page_fill(&slow, "file-a"))
        while (!atomic_load_explicit(&stop, memory_order_relaxed))
            __atomic_store_n(&slow.at[5], 'b', __ATOMIC_RELAXED);
    return NULL;
}

static int act_slow_name(void)
{
    pthread_t thread;

    if (!slow_page_open(&slow))
        return NOT_HERE;
    if (pthread_create(&thread, NULL, lie, NULL) != 0 || unlink(slow.at) != 0)
        return 1;
    doze(1);
    atomic_store(&stop, true);
    (void)pthread_join(thread, NULL);
    unsigned long gone[2] = {access("file-a", F_OK) != 0, access("file-b", F_OK) != 0};
    return say_counts("gone", gone);
}

/* Two threads: one is inside read() when the other puts another file under its descriptor. */
struct swap {
    int fd;
    char *into;
    ssize_t got;
    atomic_int tid;
};

static void *read_slowly(void *arg)
{
    struct swap *s = arg;

    atomic_store(&s->tid, gettid());
    s->got = read(s->fd, s->into, 64);
    return NULL;
}

static bool sleeps(int tid)
{
    char path[64], text[256];

    (void)snprintf(path, sizeof path, "/proc/self/task/%d/syscall", tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    (void)close(fd);
    return n > 2 && memcmp(text, "0 ", 2) == 0; /* in read() */
}

static int leak(const char *p, ssize_t n)
{
    pv_autoclose int out = open("leak", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    return n > 0 && out >= 0 && write(out, p, (size_t)n) == n ? 0 : 5;
}

static bool swap_for_decoy(const struct swap *s)
{
    pv_autoclose int decoy = open("decoy", O_RDONLY | O_CLOEXEC);

    return decoy >= 0 && dup2(decoy, s->fd) == s->fd;
}

/* The pipe was never used before: nothing is known of it but this read. */
static int act_swap_pipe(void)
{
    static char buffer[64];
    int pipe_fds[2];
    pthread_t thread;

    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return 1;
    struct swap s = {.fd = pipe_fds[0], .into = buffer};
    if (pthread_create(&thread, NULL, read_slowly, &s) != 0)
        return 2;
    while (!atomic_load(&s.tid) || !sleeps(atomic_load(&s.tid)))
        doze(1);
    if (!swap_for_decoy(&s))
        return 3;
    pid_t pid = fork();
    if (pid == 0)
        _exit(write(pipe_fds[1], "through the pipe", 16) == 16 ? 0 : 1);
    int status = 1;
    if (waitpid(pid, &status, 0) != pid || status != 0 || pthread_join(thread, NULL) != 0)
        return 4;
    return leak(buffer, s.got);
}

/* The same with a file, whose read is slowed by where it goes to. */
static int act_swap_file(void)
{
    pthread_t thread;

    if (!slow_page_open(&slow))
        return NOT_HERE;
    struct swap s = {.fd = open("secret", O_RDONLY | O_CLOEXEC), .into = slow.at};
    if (s.fd < 0 || pthread_create(&thread, NULL, read_slowly, &s) != 0 || !slow_page_await(&slow))
        return 1;
    if (!swap_for_decoy(&s) || !slow_page_fill(&slow, "") || pthread_join(thread, NULL) != 0)
        return 2;
    return leak(slow.at, s.got);
}

/* As act_swap_pipe by another process that shares the descriptors, but no memory. */
static int act_swap_shared(void)
{
    char buffer[64];
    int pipe_fds[2];
    int status = 1;

    if (pipe2(pipe_fds, O_CLOEXEC) != 0)
        return 1;
    pid_t reader = getpid();
    pid_t pid = (pid_t)syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL);
    if (pid == 0) {
        char path[64], text[16] = "";
        const struct swap s = {.fd = pipe_fds[0]};

        (void)snprintf(path, sizeof path, "/proc/%d/syscall", (int)reader);
        do {
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);
            (void)n;
            (void)close(fd);
            doze(1);
        } while (memcmp(text, "0 ", 2) != 0);
        _exit(swap_for_decoy(&s) && write(pipe_fds[1], "x", 1) == 1 ? 0 : 1);
    }
    ssize_t n = read(pipe_fds[0], buffer, sizeof buffer);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        return 2;
    return leak(buffer, n);
}

static int act_own_memory(void)
{
    static char target[16] = "before";
    pv_autoclose int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);

    if (fd < 0 || pwrite(fd, "after", 6, (off_t)(uintptr_t)target) != 6)
        return 1;
    return strcmp(target, "after") == 0 ? 0 : 2;
}

static int act_denied_trace(void)
{
    struct sock_filter rules[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_ptrace, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog filter = {sizeof rules / sizeof rules[0], rules};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
        prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) != 0)
        return 1;
    /* at once: what a sanitizer does at exit() would trace as well */
    _exit(ptrace(PTRACE_ATTACH, getppid(), NULL, NULL) < 0 && errno == EPERM ? 0 : 2);
}

/* One system call and nothing of the C library's or a sanitizer's: who has no thread state of its
 * own must touch neither. */
#define BARE __attribute__((no_sanitize("address", "thread", "undefined"), noinline))
BARE static long bare(long nr, const void *a, size_t b, size_t c)
{
    register size_t third __asm__("rdx") = c;

    __asm__ volatile("syscall" : "+a"(nr), "+r"(third) : "D"(a), "S"(b) : "rcx", "r11", "memory");
    return nr;
}

static pid_t outlived;

/* What shares its parent's memory lives on when the parent has ended. */
BARE static void outlive(void)
{
    static char text[64];
    const struct timespec tick = {.tv_nsec = 1000000};

    while (bare(SYS_getppid, NULL, 0, 0) == outlived)
        (void)bare(SYS_nanosleep, &tick, 0, 0);
    size_t in = (size_t)bare(SYS_open, "secret", O_RDONLY | O_CLOEXEC, 0);
    size_t out = (size_t)bare(SYS_open, "leak", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    long n = bare(SYS_read, (const void *)in, (size_t)text, sizeof text);
    bool leaked = n > 0 && bare(SYS_write, (const void *)out, (size_t)text, (size_t)n) == n;
    (void)bare(SYS_exit, (const void *)(size_t)(leaked ? 0 : 5), 0, 0);
}

/* Not by clone(3): a sanitizer's keeps what the child needs on the parent's stack. */
static int act_outlive(void)
{
    static _Alignas(16) char stack[64 << 10];
    long pid = SYS_clone;

    outlived = getpid();
    __asm__ volatile("syscall\n\ttest %%rax, %%rax\n\tjnz 1f\n\tcall *%1\n1:"
                     : "+a"(pid)
                     : "r"(outlive), "D"(CLONE_VM | SIGCHLD), "S"(stack + sizeof stack), "d"(0)
                     : "rcx", "r11", "memory");
    return pid < 0;
}

static const struct act acts[] = {
    {"rename", act_rename},
    {"slow-name", act_slow_name},
    {"swap-pipe", act_swap_pipe},
    {"swap-file", act_swap_file},
    {"swap-shared", act_swap_shared},
    {"own-memory", act_own_memory},
    {"denied-trace", act_denied_trace},
    {"outlive", act_outlive},
};

/* --- what the witness says of it --- */

static uint64_t proc_of(pid_t pid)
{
    long i = with_number(PV_K_PROC_FORK, "host_pid", (uint64_t)pid);

    assert_true(i >= 0);
    return number_of((size_t)i, "proc");
}

/* Runs one act and collects; skips where the kernel lacks what it needs. */
static uint64_t act_and_collect(const char *name)
{
    pid_t pid = run("/proc/self/exe", name, NULL);

    collect(true);
    uint64_t proc = proc_of(pid);
    long i = with_number(PV_K_PROC_EXIT, "proc", proc);
    assert_true(i >= 0);
    uint64_t code = number_of((size_t)i, "code");
    if (code == NOT_HERE) {
        printf("%s: this kernel has no userfaultfd\n", name);
        skip();
    }
    assert_int_equal(code, 0);
    assert_int_equal(next_of(0, PV_K_GAP), -1);
    return proc;
}

static void read_counts(const char *name, unsigned long ret[2])
{
    FILE *f = fopen(at(name), "re");

    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu %lu", &ret[0], &ret[1]), 2);
    (void)fclose(f);
}

static size_t named_ops(const char *op, const char *path, const char *new_path)
{
    size_t n = 0;

    for (long i = next_of(0, PV_K_NAME_OP); i >= 0; i = next_of((size_t)i + 1, PV_K_NAME_OP))
        n += text_is((size_t)i, "op", op) && text_is((size_t)i, "path", path) &&
             text_is((size_t)i, "new_path", new_path);
    return n;
}

static int with_files(void **state)
{
    put_file("file-a", "a");
    put_file("file-b", "b");
    put_file("secret", "the secret\n");
    put_file("decoy", "nothing to see here\n");
    return with_probe(state);
}

static void test_rename_race(void **state)
{
    static const char *const names[2] = {"file-a", "file-b"};
    unsigned long moved[2];

    (void)state;
    needs(PV_BPF_HAS_NAMES);
    (void)act_and_collect("rename");
    read_counts("renamed", moved);
    printf("renamed %lu and %lu\n", moved[0], moved[1]);
    for (int k = 0; k < 2; k++) {
        assert_int_equal(named_ops("rename", at(names[k]), at("moved")), moved[k]);
        assert_int_equal(named_ops("rename", at("moved"), at(names[k])), moved[k]);
    }
}

static void test_slow_name(void **state)
{
    unsigned long gone[2];

    (void)state;
    needs(PV_BPF_HAS_NAMES);
    (void)act_and_collect("slow-name");
    read_counts("gone", gone);
    assert_int_equal(gone[0] + gone[1], 1);
    assert_int_equal(named_ops("unlink", at("file-a"), ""), gone[0]);
    assert_int_equal(named_ops("unlink", at("file-b"), ""), gone[1]);
}

/* What was read stands before what was written with it. */
static void leaked_from(uint64_t proc, uint64_t object)
{
    long read_at = edge(PV_K_READ, proc, object, 0);

    assert_true(read_at >= 0);
    assert_true(edge(PV_K_WRITE, proc, object_at(at("leak")), (size_t)read_at) > read_at);
}

static uint64_t only_pipe(void)
{
    long i = with_text(PV_K_OBJECT, "type", "pipe");

    assert_true(i >= 0);
    return number_of((size_t)i, "object");
}

static void test_swapped_pipe(void **state)
{
    (void)state;
    uint64_t proc = act_and_collect("swap-pipe");
    leaked_from(proc, only_pipe());
}

static void test_swapped_file(void **state)
{
    (void)state;
    uint64_t proc = act_and_collect("swap-file");
    leaked_from(proc, object_at(at("secret")));
}

static void test_swapped_by_another_process(void **state)
{
    (void)state;
    uint64_t proc = act_and_collect("swap-shared");
    leaked_from(proc, only_pipe());
}

static void test_own_memory(void **state)
{
    char path[64];

    (void)state;
    pid_t pid = run("/proc/self/exe", "own-memory", NULL);
    collect(true);
    uint64_t proc = proc_of(pid);
    assert_int_equal(number_of((size_t)with_number(PV_K_PROC_EXIT, "proc", proc), "code"), 0);
    (void)snprintf(path, sizeof path, "/proc/%d/mem", (int)pid);
    long i = with_text(PV_K_OBJECT, "path", path);
    assert_true(i >= 0);
    assert_true(edge(PV_K_WRITE, proc, number_of((size_t)i, "object"), 0) >= 0);
}

static void test_denied_trace(void **state)
{
    (void)state;
    uint64_t proc = act_and_collect("denied-trace");
    long i = with_number(PV_K_INTERFERENCE, "syscall", SYS_ptrace);
    assert_true(i >= 0 && number_of((size_t)i, "proc") == proc);
    assert_int_equal(number_of((size_t)i, "arg0"), PTRACE_ATTACH);
    assert_int_equal(number_of((size_t)i, "arg1"), (uint64_t)getpid());
    assert_int_equal(number_of((size_t)i, "result"), EPERM);
    assert_true(with_number(PV_K_ATTEMPT_DENIED, "syscall", SYS_ptrace) >= 0);
}

/* Some control group hierarchy where a group can be made; empty: none. */
static void cgroup_mount(char out[128])
{
    FILE *f = setmntent("/proc/self/mounts", "re");
    struct mntent *e = NULL;

    out[0] = 0;
    while (f && !out[0] && (e = getmntent(f)))
        if (strcmp(e->mnt_type, "cgroup2") == 0 ||
            (strcmp(e->mnt_type, "cgroup") == 0 && hasmntopt(e, "pids")))
            (void)snprintf(out, 128, "%s", e->mnt_dir);
    if (f)
        (void)endmntent(f);
}

/* Who leaves its control group is followed all the same, and that it left is known. */
static void test_cgroup_move(void **state)
{
    char mount_dir[128], group[200], procs[240], script[512];

    (void)state;
    cgroup_mount(mount_dir);
    (void)snprintf(group, sizeof group, "%s/pv-evade-%d", mount_dir, (int)getpid());
    (void)snprintf(procs, sizeof procs, "%s/cgroup.procs", group);
    if (!mount_dir[0] || mkdir(group, 0755) != 0) {
        printf("no control group can be made here\n");
        skip();
    }
    (void)snprintf(script, sizeof script, "echo $$ > %s; /bin/cat secret > leak", procs);
    pid_t pid = run("/bin/sh", "-c", script, NULL);
    collect(true);
    assert_int_equal(rmdir(group), 0);
    long i = with_text(PV_K_OBJECT, "path", procs);
    assert_true(i >= 0);
    assert_true(edge(PV_K_WRITE, proc_of(pid), number_of((size_t)i, "object"), 0) >= 0);
    i = edge(PV_K_READ, 0, object_at(at("secret")), 0);
    assert_true(i >= 0);
    leaked_from(number_of((size_t)i, "proc"), object_at(at("secret")));
}

static void test_child_outlives(void **state)
{
    int status = 1;

    (void)state;
    assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
    pid_t pid = run("/proc/self/exe", "outlive", NULL);
    assert_true(waitpid(-1, &status, 0) > 0);
    assert_int_equal(status, 0);
    collect(true);
    uint64_t proc = proc_of(pid);
    leaked_from(proc, object_at(at("secret")));
    /* one end, when nobody is left */
    assert_int_equal(count_of(PV_K_PROC_EXIT, "proc", proc), 1);
    assert_true(with_number(PV_K_PROC_EXIT, "proc", proc) >
                edge(PV_K_WRITE, proc, object_at(at("leak")), 0));
}

int main(int argc, char **argv)
{
    if (argc > 1)
        run_act(argv[1], acts, sizeof acts / sizeof acts[0]);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rename_race, with_files, without_probe),
        cmocka_unit_test_setup_teardown(test_slow_name, with_files, without_probe),
        cmocka_unit_test_setup_teardown(test_swapped_pipe, with_files, without_probe),
        cmocka_unit_test_setup_teardown(test_swapped_file, with_files, without_probe),
        cmocka_unit_test_setup_teardown(test_swapped_by_another_process, with_files, without_probe),
        cmocka_unit_test_setup_teardown(test_own_memory, with_files, without_probe),
        cmocka_unit_test_setup_teardown(test_denied_trace, with_files, without_probe),
        cmocka_unit_test_setup_teardown(test_cgroup_move, with_files, without_probe),
        cmocka_unit_test_setup_teardown(test_child_outlives, with_files, without_probe),
    };

    return RUN_WITNESS_TESTS("witness evade", tests, NULL);
}
