/* What happens when the probes' ring is full: with `drop` the loss is told exactly, with `freeze`
 * there is none. PV_FLOOD_ROUNDS: pairs of mkdir and rmdir per process. */
#include "witness_harness.h"

#include "pv/clock.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <time.h>

enum { RING = 256 << 10, FLOODERS = 2, KILLS = 20, WAIT_S = 60, SLEEPERS = 150 };

static int rounds(void)
{
    const char *text = getenv("PV_FLOOD_ROUNDS");
    long n = text ? strtol(text, NULL, 10) : 5000;

    return n > 0 && n <= 20000 ? (int)n : 5000;
}

/* --- run in a child of this program, under the probes --- */

static int flood_one(const char *name)
{
    for (int i = 0; i < rounds(); i++)
        if (mkdir(name, 0700) != 0 || rmdir(name) != 0)
            return 1;
    return 0;
}

/* One record a call, whatever became of those before. */
static int call_often(const char *name)
{
    (void)name;
    for (int i = 0; i < rounds(); i++)
        if (prctl(PR_SET_KEEPCAPS, 0) != 0)
            return 1;
    return 0;
}

static int flood(int (*one)(const char *name))
{
    static const char *const names[FLOODERS] = {"one", "two"};
    pid_t pids[FLOODERS];
    int bad = 0;

    for (int i = 0; i < FLOODERS; i++) {
        pids[i] = fork();
        if (pids[i] == 0)
            _exit(one(names[i]));
    }
    for (int i = 0; i < FLOODERS; i++) {
        int status = 1;

        bad |= waitpid(pids[i], &status, 0) != pids[i] || status != 0;
    }
    return bad;
}

static int act_flood(void)
{
    return flood(flood_one);
}

static int act_calls(void)
{
    return flood(call_often);
}

/* Each lets the other go on whenever it was stopped. */
static int act_evade(void)
{
    pid_t first = getpid();
    pid_t second = fork();
    pid_t other = second ? second : first;

    if (second == 0 && prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return 1;

    for (;;)
        if (kill(other, SIGCONT) != 0 && errno == ESRCH)
            return 0;
}

static int act_calls_forever(void)
{
    for (;;)
        if (prctl(PR_SET_KEEPCAPS, 0) != 0)
            return 1;
}

/* Blocked in a call while others fill the ring. */
static int act_read_fifo(void)
{
    char secret[8];
    pv_autoclose int fd = open("fifo", O_RDWR | O_CLOEXEC);

    return fd < 0 || read(fd, secret, sizeof secret) <= 0;
}

static void *sleep_often(void *arg)
{
    (void)arg;
    for (int i = 0; i < 40; i++)
        (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    return NULL;
}

static int act_sleepers(void)
{
    static pthread_t threads[SLEEPERS];
    int bad = 0;

    for (int i = 0; i < SLEEPERS; i++)
        if (pthread_create(&threads[i], NULL, sleep_often, NULL) != 0)
            return 1;
    for (int i = 0; i < SLEEPERS; i++)
        bad |= pthread_join(threads[i], NULL) != 0;
    return bad;
}

static const struct act acts[] = {
    {"flood", act_flood},         {"calls", act_calls},
    {"evade", act_evade},         {"calls-forever", act_calls_forever},
    {"read-fifo", act_read_fifo}, {"sleepers", act_sleepers}};

/* --- what the witness says of it --- */

static void doze(unsigned ms)
{
    (void)nanosleep(&(struct timespec){.tv_nsec = (long)ms * 1000000}, NULL);
}

/* Collects, with a pause, until the process has ended; its status. */
static int collect_until_end(pid_t pid, unsigned pause_ms)
{
    uint64_t limit = pv_now_mono_ns() + WAIT_S * PV_NS_PER_S;
    int status = 0;

    while (waitpid(pid, &status, WNOHANG) == 0) {
        assert_true(pv_now_mono_ns() < limit);
        doze(pause_ms);
        collect(true);
    }
    collect(true);
    return status;
}

/* Which records were handed out, by CPU and number; shared with collectors that are killed. */
enum { CPUS_MAX = 64, SEQ_MAX = 1 << 20 };
static atomic_uchar (*seen)[SEQ_MAX];

static void see_all(void)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_event e;
    int rc = 0;

    while ((rc = pv_probe_next(probe, &e, &err)) > 0) {
        struct pv_probe_place at = pv_probe_place(probe);

        if (e.kind == PV_K_GAP || at.cpu >= CPUS_MAX || at.seq >= SEQ_MAX)
            abort();
        atomic_store(&seen[at.cpu][at.seq], 1);
    }
    if (rc < 0)
        abort();
    pv_probe_release(probe);
}

static pid_t start_collector(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        struct pv_err err = PV_ERR_INIT;

        if (pv_probe_open(&probe, bpffs, RING, NULL, &err) < 0)
            _exit(1);
        for (;;)
            see_all();
    }
    return pid;
}

struct sums {
    uint64_t records, missing, emitted, lost, holds;
};

static struct sums sum_up(const struct pv_probe_info *info)
{
    struct sums s = {0};

    for (size_t i = 0; i < log_of.n; i++)
        if (log_of.e[i].kind == PV_K_GAP)
            s.missing += number_of(i, "count");
        else
            s.records++;
    for (uint32_t cpu = 0; cpu < info->n_cpus; cpu++) {
        struct pv_probe_counters c;

        assert_int_equal(pv_probe_counters(probe, cpu, &c), 0);
        s.emitted += c.emitted;
        s.lost += c.lost;
        s.holds += c.holds;
        assert_int_equal(c.delivered, c.emitted + c.lost);
    }
    return s;
}

static size_t ops_told(const char *op, const char *name)
{
    size_t n = 0;

    for (long i = next_of(0, PV_K_NAME_OP); i >= 0; i = next_of((size_t)i + 1, PV_K_NAME_OP))
        n += text_is((size_t)i, "op", op) && text_is((size_t)i, "path", at(name));
    return n;
}

static void nothing_is_missing(const struct pv_probe_info *info)
{
    struct sums s = sum_up(info);

    assert_int_equal(s.lost, 0);
    assert_int_equal(s.missing, 0);
    assert_int_equal(s.records, s.emitted);
    for (int k = 0; present & PV_BPF_HAS_NAMES && k < 4; k++)
        assert_int_equal(ops_told(k & 1 ? "rmdir" : "mkdir", k & 2 ? "one" : "two"), rounds());
}

static size_t calls_told(void)
{
    return count_of(PV_K_CREDENTIALS, "arg0", PR_SET_KEEPCAPS);
}

/* The same flood twice: what the second time was lost is what the first time was there. */
static void test_loss_is_what_is_missing(void **state)
{
    struct pv_probe_info info;

    (void)state;
    hold = true;
    open_probe(RING, &info);
    assert_int_equal(collect_until_end(start("/proc/self/exe", "calls", NULL), 20), 0);
    uint64_t whole = sum_up(&info).records;
    assert_int_equal(sum_up(&info).lost, 0);
    assert_int_equal(calls_told(), FLOODERS * rounds());
    (void)without_probe(NULL);
    hold = false;
    open_probe(RING, &info);
    /* nobody reads meanwhile: the tail is lost too, and no later record shows it */
    (void)run("/proc/self/exe", "calls", NULL);
    collect(true);
    struct sums s = sum_up(&info);
    printf("%ju records, of which %ju are lost with drop, %ju said\n", (uintmax_t)whole,
           (uintmax_t)s.lost, (uintmax_t)s.missing);
    assert_true(s.lost > 0);
    assert_int_equal(s.missing, s.lost);
    assert_int_equal(s.records, s.emitted);
    /* of the calls, and of what the processes leave when they end */
    uint64_t calls_lost = (uint64_t)(FLOODERS * rounds()) - calls_told();
    assert_true(s.missing >= calls_lost && s.missing < calls_lost + 200);
#ifndef PV_SANITIZED /* whose run time does not always the same */
    assert_int_equal(s.records + s.missing, whole);
#endif
}

static void test_killed_collectors_lose_nothing(void **state)
{
    struct pv_probe_info info;
    int status = 0;

    (void)state;
    seen = mmap(NULL, sizeof *seen * CPUS_MAX, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
                -1, 0);
    assert_true((void *)seen != MAP_FAILED);
    hold = true;
    open_probe(RING, &info);
    pv_probe_close(probe, false);
    probe = NULL;
    pid_t flood = start("/proc/self/exe", "flood", NULL);
    for (int i = 0; i < KILLS; i++) {
        pid_t collector = start_collector();

        doze(1 + arc4random_uniform(20));
        assert_int_equal(kill(collector, SIGKILL), 0);
        assert_int_equal(waitpid(collector, &status, 0), collector);
        assert_true(WIFSIGNALED(status));
        doze(arc4random_uniform(20));
    }
    open_probe(RING, &info);
    assert_true(info.reused);
    for (uint64_t limit = pv_now_mono_ns() + WAIT_S * PV_NS_PER_S;
         waitpid(flood, &status, WNOHANG) == 0; see_all())
        assert_true(pv_now_mono_ns() < limit);
    assert_int_equal(status, 0);
    see_all();
    assert_true(sum_up(&info).holds > 0);
    assert_int_equal(sum_up(&info).lost, 0);
    for (uint32_t cpu = 0; cpu < info.n_cpus; cpu++) {
        struct pv_probe_counters c;

        assert_int_equal(pv_probe_counters(probe, cpu, &c), 0);
        for (uint64_t seq = 1; seq <= c.emitted; seq++)
            assert_true(atomic_load(&seen[cpu][seq]));
    }
    (void)munmap(seen, sizeof *seen * CPUS_MAX);
}

static void test_freeze_loses_nothing(void **state)
{
    struct pv_probe_info info;

    (void)state;
    hold = true;
    open_probe(RING, &info);
    assert_int_equal(collect_until_end(start("/proc/self/exe", "flood", NULL), 20), 0);
    nothing_is_missing(&info);
    assert_true(sum_up(&info).holds > 0);
}

static uint64_t waiting_records(const struct pv_probe_info *info)
{
    struct pv_probe_counters c = {0};
    uint64_t n = 0;

    for (uint32_t cpu = 0; cpu < info->n_cpus; cpu++)
        n += pv_probe_counters(probe, cpu, &c) == 0 ? c.emitted + c.lost : 0;
    return n;
}

static void collect_until_quiet(const struct pv_probe_info *info)
{
    uint64_t before = 0;

    for (int i = 0; i < 100 && before != waiting_records(info); i++) {
        before = waiting_records(info);
        doze(50);
        collect(true);
    }
}

/* Two that let each other go on are killed before they would run unseen. */
static void test_nobody_runs_on_unseen(void **state)
{
    struct pv_probe_info info;
    uint64_t before = 0;

    (void)state;
    hold = true;
    open_probe(RING, &info);
    pid_t pid = start("/proc/self/exe", "evade", NULL);
    for (uint64_t limit = pv_now_mono_ns() + WAIT_S * PV_NS_PER_S;
         before == 0 || before != waiting_records(&info);) {
        assert_true(pv_now_mono_ns() < limit);
        before = waiting_records(&info);
        doze(100);
    }
    (void)kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    collect_until_quiet(&info);
    struct sums s = sum_up(&info);
    assert_true(s.holds > 0);
    long i = with_number(PV_K_PROC_EXIT, "signal", SIGKILL);
    assert_true(i >= 0);
    printf("%ju records, %ju holds\n", (uintmax_t)s.records, (uintmax_t)s.holds);
    assert_int_equal(s.lost, 0);
}

/* Not only data floods: what every new process leaves is held back too. */
static void test_forks_wait(void **state)
{
    struct pv_probe_info info;

    (void)state;
    hold = true;
    open_probe(RING, &info);
    pid_t pid = start("/bin/sh", "-c",
                      "i=0; while [ $i -lt 300 ]; do /bin/true & i=$((i+1)); done; wait", NULL);
    assert_int_equal(collect_until_end(pid, 300), 0);
    struct sums s = sum_up(&info);
    assert_true(s.holds > 0);
    assert_int_equal(s.lost, 0);
    assert_int_equal(s.records, s.emitted);
}

/* --- a neighbour that may lose records --- */

static void start_as(bool held)
{
    struct pv_err err = PV_ERR_INIT;

    assert_int_equal(pv_probe_trace(probe, getpid(), held, &err), 0);
}

/* It makes more than the ring takes, and nobody reads. */
static void flood_with_drop(void)
{
    int status = 1;

    start_as(false);
    pid_t pid = start("/proc/self/exe", "calls", NULL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static uint64_t lost_so_far(const struct pv_probe_info *info)
{
    struct pv_probe_counters c = {0};
    uint64_t n = 0;

    for (uint32_t cpu = 0; cpu < info->n_cpus; cpu++)
        n += pv_probe_counters(probe, cpu, &c) == 0 ? c.lost : 0;
    return n;
}

/* What a call under way will record has room, whoever has filled the ring meanwhile. */
static void test_drop_leaves_room_for_freeze(void **state)
{
    struct pv_probe_info info;

    (void)state;
    hold = true;
    open_probe(RING, &info);
    assert_int_equal(mkfifo(at("fifo"), 0600), 0);
    pid_t pid = start("/proc/self/exe", "read-fifo", NULL);
    pv_autoclose int fd = open(at("fifo"), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    doze(200);
    flood_with_drop();
    uint64_t lost = lost_so_far(&info);
    assert_true(lost > 0);
    assert_int_equal(write(fd, "secret", 6), 6);
    doze(100);
    assert_int_equal(lost_so_far(&info), lost);
    assert_int_equal(collect_until_end(pid, 20), 0);
    assert_true(edge(PV_K_READ, 0, object_at(at("fifo")), 0) >= 0);
    assert_int_equal(lost_so_far(&info), lost);
}

/* Threads that come out of their calls because the process is stopped evade nothing. */
static void test_drop_kills_no_freeze(void **state)
{
    struct pv_probe_info info;

    (void)state;
    hold = true;
    open_probe(RING, &info);
    pid_t pid = start("/proc/self/exe", "sleepers", NULL);
    doze(300);
    flood_with_drop();
    doze(300);
    assert_int_equal(collect_until_end(pid, 20), 0);
}

/* An operation on one of the flood's directories: a sanitizer's run time has names of its own. */
static bool is_of_flood(const struct pv_event *e)
{
    char path[PV_PATH_MAX];

    if (e->kind != PV_K_NAME_OP)
        return false;
    pv_event_get_text(e, "path", path, sizeof path);
    const char *name = strrchr(path, '/');
    return name && (strcmp(name, "/one") == 0 || strcmp(name, "/two") == 0);
}

/* Reads as much as a busy auditor does in one go; the flood's operations on names among it. */
static size_t read_some(void)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_event e;
    size_t n = 0;

    for (int i = 0; i < 100 && pv_probe_next(probe, &e, &err) > 0; i++)
        n += is_of_flood(&e);
    pv_probe_release(probe);
    return n;
}

static bool all_is_told(const struct pv_probe_info *info)
{
    struct pv_probe_counters c = {0};

    for (uint32_t cpu = 0; cpu < info->n_cpus; cpu++)
        if (pv_probe_counters(probe, cpu, &c) != 0 || c.delivered != c.emitted + c.lost)
            return false;
    return true;
}

/* A flood that never ends keeps nobody waiting, and nothing of who waits is lost. */
static void test_freeze_goes_on_beside_drop(void **state)
{
    struct pv_probe_info info;
    int status = 1;
    size_t told = 0;

    (void)state;
    hold = true;
    open_probe(RING, &info);
    assert_int_equal(setenv("PV_FLOOD_ROUNDS", "500", 1), 0);
    pid_t pid = start("/proc/self/exe", "flood", NULL);
    assert_int_equal(unsetenv("PV_FLOOD_ROUNDS"), 0);
    doze(300);
    start_as(false);
    pid_t floods[FLOODERS];
    for (int i = 0; i < FLOODERS; i++)
        floods[i] = start("/proc/self/exe", "calls-forever", NULL);
    pid_t ended = 0;
    uint64_t limit = pv_now_mono_ns() + 8 * PV_NS_PER_S;
    for (; ended == 0 && pv_now_mono_ns() < limit; doze(1)) {
        told += read_some();
        ended = waitpid(pid, &status, WNOHANG);
    }
    (void)kill(pid, SIGKILL);
    for (int i = 0; i < FLOODERS; i++) {
        (void)kill(floods[i], SIGKILL);
        assert_int_equal(waitpid(floods[i], NULL, 0), floods[i]);
    }
    assert_int_equal(ended, pid);
    assert_int_equal(status, 0);
    for (int i = 0; i < 1000 && !all_is_told(&info); i++)
        told += read_some();
    assert_true(sum_up(&info).holds > 0);
    if (present & PV_BPF_HAS_NAMES)
        assert_int_equal(told, 2 * FLOODERS * 500);
}

/* --- the end of the probes --- */

static pid_t start_held(void)
{
    struct pv_probe_info info;

    hold = true;
    open_probe(RING, &info);
    pid_t pid = start("/proc/self/exe", "flood", NULL);
    uint64_t limit = pv_now_mono_ns() + WAIT_S * PV_NS_PER_S;
    for (struct pv_probe_counters c = {0}; c.holds == 0; doze(10))
        for (uint32_t cpu = 0; cpu < info.n_cpus && c.holds == 0; cpu++) {
            assert_true(pv_now_mono_ns() < limit);
            assert_int_equal(pv_probe_counters(probe, cpu, &c), 0);
        }
    doze(100);
    return pid;
}

static void ends_by_itself(pid_t pid)
{
    uint64_t limit = pv_now_mono_ns() + 10 * PV_NS_PER_S;
    int status = 1;
    pid_t ended = 0;

    while ((ended = waitpid(pid, &status, WNOHANG)) == 0 && pv_now_mono_ns() < limit)
        doze(10);
    if (ended == 0)
        (void)kill(pid, SIGKILL);
    assert_int_equal(ended, pid);
    assert_int_equal(status, 0);
}

/* Nobody could let them go on later. */
static void test_nobody_waits_for_probes_that_ended(void **state)
{
    (void)state;
    pid_t pid = start_held();
    (void)without_probe(NULL);
    ends_by_itself(pid);
}

/* Of another size: what is pinned is of no use. */
static void test_nobody_waits_for_probes_before(void **state)
{
    struct pv_probe_info info;

    (void)state;
    pid_t pid = start_held();
    pv_probe_close(probe, false);
    probe = NULL;
    open_probe(2 * RING, &info);
    assert_false(info.reused);
    ends_by_itself(pid);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        run_act(argv[1], acts, sizeof acts / sizeof acts[0]);

    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_loss_is_what_is_missing, without_probe),
        cmocka_unit_test_teardown(test_freeze_loses_nothing, without_probe),
        cmocka_unit_test_teardown(test_killed_collectors_lose_nothing, without_probe),
        cmocka_unit_test_teardown(test_nobody_runs_on_unseen, without_probe),
        cmocka_unit_test_teardown(test_forks_wait, without_probe),
        cmocka_unit_test_teardown(test_drop_leaves_room_for_freeze, without_probe),
        cmocka_unit_test_teardown(test_drop_kills_no_freeze, without_probe),
        cmocka_unit_test_teardown(test_freeze_goes_on_beside_drop, without_probe),
        cmocka_unit_test_teardown(test_nobody_waits_for_probes_that_ended, without_probe),
        cmocka_unit_test_teardown(test_nobody_waits_for_probes_before, without_probe),
    };

    return RUN_WITNESS_TESTS("witness loss", tests, NULL);
}
