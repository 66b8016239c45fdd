/* The watch over sealed monitors: a process of the test stands for one, does in turn what a monitor
 * does and what none has to, and every record of it is looked at. */
#include "witness_harness.h"

#include "pv/bpf_record.h"

#include <arpa/inet.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { KVM_RUN_COMMAND = 0xae80, NO_CLAIM_PLACE = 0 };

static const uint8_t call_id[10] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};

/* Of the process that stands for a monitor. */
static _Thread_local __attribute__((tls_model("initial-exec"))) volatile struct pv_bpf_claim claim;

static void claim_for(enum pv_bpf_purpose purpose)
{
    for (unsigned i = 0; i < sizeof call_id; i++)
        claim.call[i] = call_id[i];
    claim.purpose = (pv_u8)purpose;
}

static int64_t claim_place(void)
{
    const void *locks = NULL;
    size_t len = 0;

    if (syscall(SYS_get_robust_list, 0, &locks, &len) != 0)
        abort();
    return (const volatile char *)&claim - (const char *)locks;
}

static void must(bool ok, int code)
{
    if (!ok)
        _exit(code);
}

static void look_into(const char *name, int flags)
{
    int fd = open(name, flags | O_CLOEXEC, 0600);

    must(fd >= 0, 20);
    (void)close(fd);
}

/* Runs act in a child that is watched from before its first statement on, and collects what is said
 * of it. Its exit status is returned. */
static pid_t watched_pid;
static uint64_t threads;

static int watch_at(void (*act)(void), int64_t (*place)(void))
{
    struct pv_err err = PV_ERR_INIT;
    int go[2], ready[2], status = 0;
    int64_t at_place = 0;

    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
    assert_int_equal(pv_probe_untrace(probe, getpid(), &err), 0);
    watched_pid = fork();
    assert_true(watched_pid >= 0);
    if (watched_pid == 0) {
        char c;

        at_place = place ? place() : NO_CLAIM_PLACE;
        must(write(ready[1], &at_place, sizeof at_place) == sizeof at_place, 21);
        must(read(go[0], &c, 1) == 1, 22);
        act();
        _exit(0);
    }
    assert_int_equal(read(ready[0], &at_place, sizeof at_place), sizeof at_place);
    int rc = pv_probe_watch(probe, watched_pid, true, at_place, &threads, &err);
    if (rc < 0)
        fail_msg("%s", err.text);
    assert_int_equal(write(go[1], "", 1), 1);
    assert_int_equal(waitpid(watched_pid, &status, 0), watched_pid);
    for (unsigned i = 0; i < 2; i++) {
        (void)close(go[i]);
        (void)close(ready[i]);
    }
    collect(true);
    return status;
}

static int watch(void (*act)(void))
{
    return watch_at(act, claim_place);
}

static void assert_alarm(const char *what, const char *object, const char *said)
{
    long i = with_text(PV_K_MONITOR_ALARM, "what", what);

    if (i < 0)
        fail_msg("no alarm '%s'", what);
    assert_int_equal(number_of((size_t)i, "pid"), watched_pid);
    if (object)
        assert_true(text_is((size_t)i, "object", object));
    assert_true(text_is((size_t)i, "claim", said));
    bool of_call = strcmp(said, "request") == 0;
    static const uint8_t none[10];
    assert_memory_equal(log_of.e[i].invocation.bytes, of_call ? call_id : none, sizeof call_id);
}

static size_t alarms(void)
{
    return count_of(PV_K_MONITOR_ALARM, "pid", (uint64_t)watched_pid);
}

/* --- what a monitor does all the time --- */

static void work(void)
{
    char c = 0;
    int pair[2];

    claim_for(PV_BPF_FOR_REQUEST);
    for (unsigned i = 0; i < 1000; i++)
        (void)ioctl(0, KVM_RUN_COMMAND, 0);
    must(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0, 30);
    must(write(pair[0], &c, 1) == 1 && read(pair[1], &c, 1) == 1, 31);
    int memory = memfd_create("frames", MFD_CLOEXEC);
    must(memory >= 0 && ftruncate(memory, 8192) == 0, 32);
    void *m = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
    must(m != MAP_FAILED && mprotect(m, 4096, PROT_READ) == 0, 33);
    must(open("/", O_PATH | O_CLOEXEC) >= 0, 34);
    must(open("/none/of/these", O_RDONLY) < 0, 35);
}

/* ThreadSanitizer's run time has a thread of its own, which makes calls all the while. */
static void be_alone(void)
{
#ifdef __SANITIZE_THREAD__
    print_message("skipped: under ThreadSanitizer a process has a thread of its run time\n");
    skip();
#endif
}

static void test_work_is_silent(void **state)
{
    (void)state;
    be_alone();
    assert_int_equal(watch(work), 0);
    assert_int_equal(threads, 1);
    assert_int_equal(log_of.n, 0);
}

static void open_claimed(void)
{
    claim_for(PV_BPF_FOR_REQUEST);
    look_into(at("secret"), O_RDONLY);
    claim_for(PV_BPF_FOR_UPKEEP);
    look_into(root, O_RDONLY | O_DIRECTORY);
}

static void test_claimed_opens_say_for_whom(void **state)
{
    struct stat st;

    (void)state;
    assert_int_equal(watch(open_claimed), 0);
    assert_int_equal(alarms(), 0);
    long i = with_text(PV_K_MONITOR_OPEN, "path", at("secret"));
    assert_true(i >= 0);
    assert_int_equal(stat(at("secret"), &st), 0);
    assert_int_equal(number_of((size_t)i, "ino"), st.st_ino);
    assert_int_equal(number_of((size_t)i, "dev"), st.st_dev);
    assert_int_equal(number_of((size_t)i, "mode"), st.st_mode);
    assert_int_equal(number_of((size_t)i, "tid"), watched_pid);
    assert_true(text_is((size_t)i, "claim", "request"));
    assert_memory_equal(log_of.e[i].invocation.bytes, call_id, sizeof call_id);
    i = with_text(PV_K_MONITOR_OPEN, "path", root);
    assert_true(i >= 0 && text_is((size_t)i, "claim", "upkeep"));
    assert_true(pv_call_id_is_none(&log_of.e[i].invocation));
}

/* --- what none has to do --- */

static void open_unclaimed(void)
{
    look_into(at("secret"), O_RDONLY);
}

static void open_to_write(void)
{
    claim_for(PV_BPF_FOR_REQUEST);
    look_into(at("written"), O_WRONLY | O_CREAT);
}

static void test_other_opens_are_alarms(void **state)
{
    (void)state;
    assert_int_equal(watch(open_unclaimed), 0);
    assert_alarm("open", at("secret"), "");
    assert_int_equal(alarms(), 1);
    forget();
    assert_int_equal(watch(open_to_write), 0);
    assert_alarm("open", at("written"), "request");
    forget();
    /* whoever has named no place claims nothing, whatever stands at 0 */
    assert_int_equal(watch_at(open_claimed, NULL), 0);
    assert_alarm("open", at("secret"), "");
}

static void make_code(void)
{
    must(mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED,
         40);
}

static void make_data_code(void)
{
    void *m = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    claim_for(PV_BPF_FOR_REQUEST);
    must(mprotect(m, 4096, PROT_READ | PROT_EXEC) == 0, 41);
}

static void test_code(void **state)
{
    (void)state;
    assert_int_equal(watch(make_code), 0);
    assert_alarm("executable-mapping", "", "");
    forget();
    /* a claim excuses nothing but opening for reading */
    assert_int_equal(watch(make_data_code), 0);
    assert_alarm("executable-mapping", "", "request");
    assert_int_equal(number_of(0, "syscall"), SYS_mprotect);
}

static void reach_out(void)
{
    char c = 1, d = 0;
    struct iovec from = {&c, 1}, to = {&d, 1};

    must(process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 1, 50);
    (void)syscall(SYS_io_uring_setup, 1, NULL);
    (void)kill(getppid(), SIGURG);
}

static void test_reaching_out(void **state)
{
    (void)state;
    assert_int_equal(watch(reach_out), 0);
    assert_alarm("interfere", "", "");
    assert_alarm("io-uring", "", "");
    assert_alarm("signal", "", "");
    long i = with_text(PV_K_MONITOR_ALARM, "what", "signal");
    assert_int_equal(number_of((size_t)i, "arg0"), SIGURG);
    assert_int_equal(number_of((size_t)i, "arg1"), getpid());
    assert_int_equal(alarms(), 3);
}

static void connect_out(void)
{
    struct sockaddr_in a = {
        .sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_in b = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    must(fd >= 0 && bind(fd, (struct sockaddr *)&b, sizeof b) == 0, 60);
    (void)connect(fd, (struct sockaddr *)&a, sizeof a);
}

static void test_connections(void **state)
{
    (void)state;
    assert_int_equal(watch(connect_out), 0);
    assert_alarm("bind", "127.0.0.1:0", "");
    assert_alarm("connect", "127.0.0.1:9", "");
    assert_int_equal(alarms(), 2);
}

static void bear(void)
{
    pid_t child = fork();

    if (child == 0) {
        look_into(at("secret"), O_RDONLY);
        _exit(0);
    }
    must(waitpid(child, NULL, 0) == child, 70);
}

static void test_a_fork_is_followed(void **state)
{
    (void)state;
    assert_int_equal(watch(bear), 0);
    assert_alarm("fork", "", "");
    long i = with_text(PV_K_MONITOR_ALARM, "what", "fork");
    long f = with_number(PV_K_PROC_FORK, "host_pid", number_of((size_t)i, "arg0"));
    assert_true(f >= 0);
    /* from its first call on */
    uint64_t secret = object_at(at("secret"));
    assert_true(edge(PV_K_OPEN, number_of((size_t)f, "proc"), secret, 0) >= 0);
}

static void *look(void *none)
{
    open_unclaimed();
    return none;
}

static void start_thread(void)
{
    pthread_t t;

    claim_for(PV_BPF_FOR_REQUEST);
    must(pthread_create(&t, NULL, look, NULL) == 0 && pthread_join(t, NULL) == 0, 80);
}

static void test_a_thread_is_watched(void **state)
{
    (void)state;
    assert_int_equal(watch(start_thread), 0);
    assert_alarm("thread", "", "request");
    /* it has a claim of its own: none */
    assert_alarm("open", at("secret"), "");
    long i = with_text(PV_K_MONITOR_ALARM, "what", "open");
    assert_true(number_of((size_t)i, "tid") != (uint64_t)watched_pid);
}

static int early_go[2];

static void *look_when_told(void *none)
{
    char c;

    must(read(early_go[0], &c, 1) == 1, 81);
    claim_for(PV_BPF_FOR_REQUEST);
    look_into(at("secret"), O_RDONLY);
    look_into(at("written"), O_RDWR | O_CREAT);
    return none;
}

static pthread_t early;

static int64_t thread_and_place(void)
{
    must(pipe2(early_go, O_CLOEXEC) == 0, 82);
    must(pthread_create(&early, NULL, look_when_told, NULL) == 0, 83);
    return claim_place();
}

static void let_early_go(void)
{
    must(write(early_go[1], "", 1) == 1 && pthread_join(early, NULL) == 0, 84);
}

/* Slots' threads are there before the seal. */
static void test_threads_before_the_watch(void **state)
{
    (void)state;
    be_alone();
    assert_int_equal(watch_at(let_early_go, thread_and_place), 0);
    assert_int_equal(threads, 2);
    long i = with_text(PV_K_MONITOR_OPEN, "path", at("secret"));
    assert_true(i >= 0 && text_is((size_t)i, "claim", "request"));
    assert_true(number_of((size_t)i, "tid") != (uint64_t)watched_pid);
    assert_alarm("open", at("written"), "request");
}

static void become_another(void)
{
    (void)execl("/bin/cat", "cat", at("secret"), (char *)NULL);
    _exit(90);
}

static void test_an_exec_is_followed(void **state)
{
    char real[PATH_MAX] = "";

    (void)state;
    assert_non_null(realpath("/bin/cat", real));
    assert_int_equal(watch(become_another), 0);
    assert_alarm("exec", real, "");
    assert_true(with_text(PV_K_PROC_EXEC, "path", real) >= 0);
    assert_true(edge(PV_K_READ, 0, object_at(at("secret")), 0) >= 0);
}

static void filter(uint32_t nr, uint32_t action)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, action),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog p = {4, code};

    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, 91);
    must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &p) == 0, 92);
}

static void try_forbidden(void)
{
    filter(SYS_socket, SECCOMP_RET_ERRNO | EPERM);
    (void)socket(AF_INET, SOCK_STREAM, 0);
}

static void do_forbidden(void)
{
    filter(SYS_ptrace, SECCOMP_RET_KILL_PROCESS);
    (void)syscall(SYS_ptrace, 0, 0, 0, 0);
}

/* What the seal refuses is told all the same. */
static void test_refused(void **state)
{
    (void)state;
    assert_int_equal(watch(try_forbidden), 0);
    assert_alarm("rights", "", "");
    assert_alarm("denied", "", "");
    long i = with_text(PV_K_MONITOR_ALARM, "what", "denied");
    assert_int_equal(number_of((size_t)i, "syscall"), SYS_socket);
    assert_int_equal(number_of((size_t)i, "result"), EPERM);
    forget();
    int status = watch(do_forbidden);
    assert_true(WIFSIGNALED(status));
    assert_alarm("killed", "", "");
    i = with_text(PV_K_MONITOR_ALARM, "what", "killed");
    assert_int_equal(number_of((size_t)i, "arg0"), SIGSYS);
}

/* An auditor that comes back finds the watch as it was. */
static void test_survives_the_auditor(void **state)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_probe_info info;
    int go[2], status = 0;
    char c;

    (void)state;
    assert_int_equal(pv_probe_untrace(probe, getpid(), &err), 0);
    assert_int_equal(pipe2(go, O_CLOEXEC), 0);
    watched_pid = fork();
    if (watched_pid == 0) {
        must(read(go[0], &c, 1) == 1, 100);
        claim_for(PV_BPF_FOR_REQUEST);
        look_into(at("secret"), O_RDONLY);
        look_into(at("written"), O_RDWR | O_CREAT);
        _exit(0);
    }
    assert_int_equal(pv_probe_watch(probe, watched_pid, true, claim_place(), &threads, &err), 0);
    pv_probe_close(probe, false);
    open_probe(0, &info);
    assert_true(info.reused);
    assert_int_equal(pv_probe_untrace(probe, getpid(), &err), 0);
    /* it is announced as any host first */
    assert_int_equal(pv_probe_trace(probe, watched_pid, true, &err), 0);
    assert_int_equal(write(go[1], "", 1), 1);
    assert_int_equal(waitpid(watched_pid, &status, 0), watched_pid);
    assert_int_equal(status, 0);
    (void)close(go[0]);
    (void)close(go[1]);
    collect(true);
    assert_true(with_text(PV_K_MONITOR_OPEN, "path", at("secret")) >= 0);
    assert_alarm("open", at("written"), "request");
}

static int with_watch(void **state)
{
    struct pv_probe_info info;

    (void)state;
    open_probe(0, &info);
    put_file("secret", "the secret\n");
    if (info.present & PV_BPF_HAS_WATCH)
        return 0;
    printf("skipped: this kernel has no iterators over tasks\n");
    (void)without_probe(state);
    skip();
    return 0;
}

#define WATCHED(f) cmocka_unit_test_setup_teardown(f, with_watch, without_probe)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WATCHED(test_work_is_silent),
        WATCHED(test_claimed_opens_say_for_whom),
        WATCHED(test_other_opens_are_alarms),
        WATCHED(test_code),
        WATCHED(test_reaching_out),
        WATCHED(test_connections),
        WATCHED(test_a_fork_is_followed),
        WATCHED(test_a_thread_is_watched),
        WATCHED(test_threads_before_the_watch),
        WATCHED(test_an_exec_is_followed),
        WATCHED(test_refused),
        WATCHED(test_survives_the_auditor),
    };

    return RUN_WITNESS_TESTS("witness_monitor", tests, NULL);
}
