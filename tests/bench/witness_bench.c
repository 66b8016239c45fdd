/* What the outside witness costs. Each operation is timed in a process of its own, under nothing
 * (base), under the probes without being followed (floor), followed, and under a recorder of every
 * entry and exit (baseline.bpf.c); then tar into cat, also under strace and perf trace where they
 * are; then events a second into a hash chain. Rounds are interleaved, medians are shown. Needs
 * root and eBPF. Arguments: rounds (7), calls a round (200000), seconds of the last part (10),
 * parts (calls,tar,tracers,stream). */
#include "baseline.skel.h"
#include "probe.h"
#include "pv/bpf_syscalls.h"
#include "pv/clock.h"
#include "pv/own.h"
#include "pv/ratchet.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { ROUNDS_MAX = 31, PATH_BYTES = 64, BATCH = 250, BATCHES_MAX = 20000 };
enum mode { BASE, FLOOR, FOLLOWED, ENTER_EXIT, STRACE, PERF, MODES };
static const char *const mode_names[MODES] = {"base",       "floor",  "followed",
                                              "enter+exit", "strace", "perf trace"};

/* --- the operations, in a child of this program --- */

static int op_read(int fd, long n)
{
    char c;

    for (long i = 0; i < n; i++)
        if (pread(fd, &c, 1, 0) != 1)
            return 1;
    return 0;
}

static int op_write(int fd, long n)
{
    for (long i = 0; i < n; i++)
        if (pwrite(fd, "x", 1, 0) != 1)
            return 1;
    return 0;
}

static int op_open(int fd, long n)
{
    (void)fd;
    for (long i = 0; i < n; i++) {
        int opened = open("file", O_RDONLY | O_CLOEXEC);

        if (opened < 0 || close(opened) != 0)
            return 1;
    }
    return 0;
}

/* One record a call, never reduced; the call itself does nothing but refuse its flags. */
static int op_event(int fd, long n)
{
    (void)fd;
    for (long i = 0; i < n; i++)
        if (syscall(SYS_process_mrelease, -1, ~0u) != -1 || errno != EINVAL)
            return 1;
    return 0;
}

static const struct {
    const char *name;
    int (*run)(int fd, long n);
} ops[] = {{"read", op_read}, {"write", op_write}, {"open+close", op_open}, {"event", op_event}};
enum { OPS = sizeof ops / sizeof ops[0] };

/* Of this process alone, so that what else the machine does counts less. */
static uint64_t own_cpu_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * PV_NS_PER_S + (uint64_t)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    const double *x = a;
    const double *y = b;

    return *x < *y ? -1 : *x > *y;
}

static double median(double *v, unsigned n)
{
    qsort(v, n, sizeof *v, compare);
    return n == 0 ? -1 : v[n / 2];
}

/* Prints ns of CPU a call: the median of batches, since an interruption spoils only its own. */
static int act(const char *name, long n)
{
    static double took[BATCHES_MAX];
    unsigned batches = 0;
    pv_autoclose int fd = open("file", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0 || pwrite(fd, "x", 1, 0) != 1)
        return 1;
    for (size_t i = 0; i < OPS; i++) {
        if (strcmp(ops[i].name, name) != 0)
            continue;
        for (long done = 0; done < n; done += BATCH) {
            uint64_t begun = own_cpu_ns();

            if (ops[i].run(fd, BATCH) != 0)
                return 2;
            took[batches++ % BATCHES_MAX] = (double)(own_cpu_ns() - begun) / BATCH;
        }
        printf("%.2f\n", median(took, batches < BATCHES_MAX ? batches : BATCHES_MAX));
        return 0;
    }
    return 3;
}

/* --- reading what is recorded --- */

static char dir[PATH_BYTES], bpffs[PATH_BYTES];
static struct pv_probe *probe;
static struct pv_probe_info info;
static struct baseline *base;
static struct ring_buffer *base_ring;
static uint64_t followed_records; /* of the run at hand */
static uint64_t recorded_calls;   /* as the baseline sees it: calls that could give a record */

static void fatal(const char *what, const char *why)
{
    fprintf(stderr, "witness_bench: %s: %s\n", what, why);
    exit(1);
}

/* Calls of a class of which the witness makes records, were none of them redundant. */
static bool could_be_recorded(unsigned nr)
{
#define CLASS_OF(class, number, name) [number] = PV_SC_##class,
    static const uint8_t classes[] = {PV_SYSCALLS(CLASS_OF)};
#undef CLASS_OF
    unsigned class = nr < sizeof classes ? classes[nr] : 0;

    return (class >= PV_SC_DATA_IN && class <= PV_SC_OPEN) || class == PV_SC_CONNECT ||
           class == PV_SC_ACCEPT || class == PV_SC_NAME || class == PV_SC_MAP;
}

static int on_call(void *unused, void *data, size_t len)
{
    struct {
        uint64_t time_ns, seq;
        uint32_t pid, nr;
        int64_t args[4];
        uint32_t is_exit, pad;
    } r;

    (void)unused;
    if (len < sizeof r)
        return 0;
    memcpy(&r, data, sizeof r);
    recorded_calls += r.is_exit && r.args[0] >= 0 && could_be_recorded(r.nr);
    return 0;
}

/* In product order: translated, then the ring's space given back. */
static void take_records(void)
{
    struct pv_err err = PV_ERR_INIT;
    struct pv_event e;
    int rc = 0;

    if (base_ring)
        (void)ring_buffer__consume(base_ring);
    if (!probe)
        return;
    while ((rc = pv_probe_next(probe, &e, &err)) > 0)
        followed_records++;
    if (rc < 0)
        fatal("read records", err.text);
    pv_probe_release(probe);
}

static void attach(enum mode mode)
{
    struct pv_err err = PV_ERR_INIT;

    followed_records = recorded_calls = 0;
    if (mode == FLOOR || mode == FOLLOWED)
        if (pv_probe_open(&probe, bpffs, 0, &info, &err) < 0 ||
            (mode == FOLLOWED && pv_probe_trace(probe, getpid(), true, &err) < 0))
            fatal("open the probes", err.text);
    if (mode != ENTER_EXIT)
        return;
    base = baseline__open();
    if (!base)
        fatal("open the baseline", strerror(errno));
    base->rodata->root_tgid = (unsigned)getpid();
    if (baseline__load(base) != 0 || baseline__attach(base) != 0)
        fatal("load the baseline", strerror(errno));
    base_ring = ring_buffer__new(bpf_map__fd(base->maps.calls), on_call, NULL, NULL);
    if (!base_ring)
        fatal("read the baseline", strerror(errno));
}

static void detach(void)
{
    pv_probe_close(probe, true);
    probe = NULL;
    ring_buffer__free(base_ring);
    base_ring = NULL;
    baseline__destroy(base);
    base = NULL;
}

static int records_fd(void)
{
    return probe ? pv_probe_fd(probe) : base_ring ? ring_buffer__epoll_fd(base_ring) : -1;
}

static double cpu_ms(const struct rusage *u)
{
    return (double)(u->ru_utime.tv_sec + u->ru_stime.tv_sec) * 1000 +
           (double)(u->ru_utime.tv_usec + u->ru_stime.tv_usec) / 1000;
}

/* Runs a program to its end, reading records meanwhile: the time it says (timed_inside), or the ms
 * of CPU that it and its children took. Negative: it failed. */
static double run(char *const argv[], bool timed_inside, double *ret_wall_ms)
{
    int pair[2];
    int status = 0;
    struct rusage usage = {0};
    char text[64] = "";

    if (pipe2(pair, O_CLOEXEC) != 0)
        fatal("make a pipe", strerror(errno));
    uint64_t begun = pv_now_mono_ns();
    pid_t pid = fork();
    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

        if (chdir(dir) != 0 || dup2(timed_inside ? pair[1] : null, 1) < 0 || dup2(null, 2) < 0)
            _exit(126);
        (void)execvp(argv[0], argv);
        _exit(127);
    }
    (void)close(pair[1]);
    while (wait4(pid, &status, WNOHANG, &usage) == 0) {
        struct pollfd p = {.fd = records_fd(), .events = POLLIN};

        (void)poll(&p, 1, 1);
        take_records();
    }
    *ret_wall_ms = (double)(pv_now_mono_ns() - begun) / PV_NS_PER_MS;
    take_records();
    ssize_t n = read(pair[0], text, sizeof text - 1);
    (void)close(pair[0]);
    if (status != 0)
        return -1;
    return timed_inside ? n > 0 ? strtod(text, NULL) : -1 : cpu_ms(&usage);
}

/* --- medians --- */

static void time_calls(unsigned rounds, char *calls)
{
    static double took[OPS][STRACE][ROUNDS_MAX];
    double m[OPS][STRACE];

    for (unsigned round = 0; round < rounds; round++)
        for (int mode = BASE; mode < STRACE; mode++) {
            attach((enum mode)mode);
            for (size_t op = 0; op < OPS; op++) {
                char name[16];
                (void)snprintf(name, sizeof name, "%s", ops[op].name);
                char *argv[] = {(char[]){"/proc/self/exe"}, (char[]){"act"}, name, calls, NULL};
                double wall = 0;
                took[op][mode][round] = run(argv, true, &wall);
            }
            detach();
        }
    printf("%-13s %9s %9s %9s %11s   followed - floor, followed / base\n", "CPU ns a call",
           mode_names[BASE], mode_names[FLOOR], mode_names[FOLLOWED], mode_names[ENTER_EXIT]);
    for (size_t op = 0; op < OPS; op++) {
        for (int mode = BASE; mode < STRACE; mode++)
            m[op][mode] = median(took[op][mode], rounds);
        printf("%-13s %9.1f %9.1f %9.1f %11.1f   %+.1f ns, %.2f times\n", ops[op].name, m[op][BASE],
               m[op][FLOOR], m[op][FOLLOWED], m[op][ENTER_EXIT], m[op][FOLLOWED] - m[op][FLOOR],
               m[op][FOLLOWED] / m[op][BASE]);
    }
}

static void time_tar(unsigned rounds, bool with_tracers)
{
    enum mode end = with_tracers ? MODES : STRACE;
    static double took[MODES][ROUNDS_MAX], wall[MODES][ROUNDS_MAX];
    static char script[] = "tar cf - /usr/include | cat > /dev/null";
    char *plain[] = {(char[]){"sh"}, (char[]){"-c"}, script, NULL};
    char *strace[] = {(char[]){"strace"}, (char[]){"-f"}, (char[]){"-o"}, (char[]){"/dev/null"},
                      (char[]){"sh"},     (char[]){"-c"}, script,         NULL};
    char *perf[] = {(char[]){"perf"}, (char[]){"trace"}, (char[]){"-o"}, (char[]){"/dev/null"},
                    (char[]){"sh"},   (char[]){"-c"},    script,         NULL};
    char *const *const argv[MODES] = {plain, plain, plain, plain, strace, perf};
    uint64_t reduced = 0;
    uint64_t raw = 0;

    (void)run(plain, false, wall[BASE]); /* into the page cache */
    for (unsigned round = 0; round < rounds; round++)
        for (enum mode mode = BASE; mode < end; mode++) {
            attach(mode);
            took[mode][round] = run(argv[mode], false, &wall[mode][round]);
            reduced = mode == FOLLOWED ? followed_records : reduced;
            raw = mode == ENTER_EXIT ? recorded_calls : raw;
            detach();
        }
    printf("\ntar cf - /usr/include | cat > /dev/null\n");
    double base_ms = median(took[BASE], rounds);
    double base_wall_ms = median(wall[BASE], rounds);
    for (enum mode mode = BASE; mode < end; mode++) {
        double ms = mode == BASE ? base_ms : median(took[mode], rounds);
        double wall_ms = mode == BASE ? base_wall_ms : median(wall[mode], rounds);

        if (ms < 0)
            printf("%-12s cannot be run here\n", mode_names[mode]);
        else
            printf("%-12s %9.1f ms of CPU, %.2f times base; %9.1f ms, %.2f times\n",
                   mode_names[mode], ms, ms / base_ms, wall_ms, wall_ms / base_wall_ms);
    }
    printf("records %ju, calls that could have given one %ju: %.0f %% fewer\n", (uintmax_t)reduced,
           (uintmax_t)raw, 100.0 - 100.0 * (double)reduced / (double)raw);
}

/* --- events a second --- */

static void chain_events(double *ret_events, double *ret_lost, unsigned seconds, bool hashed)
{
    uint8_t link[PV_HASH_BYTES + PV_EVENT_MAX] = {0};
    struct pv_err err = PV_ERR_INIT;
    uint64_t end = pv_now_mono_ns() + seconds * PV_NS_PER_S;
    uint64_t n = 0;
    pv_autobuf struct pv_buf b;
    struct pv_event e;

    pv_buf_init(&b, PV_EVENT_MAX);
    while (pv_now_mono_ns() < end) {
        unsigned batch = 0;
        int rc = 0;

        for (; batch < 1024 && (rc = pv_probe_next(probe, &e, &err)) > 0; batch++) {
            pv_buf_reset(&b);
            if (!hashed)
                continue;
            if (pv_event_encode(&e, &b, &err) < 0)
                fatal("encode an event", err.text);
            memcpy(link + PV_HASH_BYTES, b.data, b.len);
            pv_sha256(link, PV_HASH_BYTES + b.len, link);
        }
        if (rc < 0)
            fatal("read records", err.text);
        pv_probe_release(probe);
        n += batch;
        struct pollfd p = {.fd = pv_probe_fd(probe), .events = POLLIN};
        if (batch == 0)
            (void)poll(&p, 1, 1);
    }
    *ret_events = (double)n / seconds;
    *ret_lost = 0;
    for (uint32_t cpu = 0; cpu < info.n_cpus; cpu++) {
        struct pv_probe_counters c = {0};

        (void)!pv_probe_counters(probe, cpu, &c);
        *ret_lost += (double)c.lost;
    }
}

/* CPU an event on each side says what a machine of its own would carry. */
static void time_stream(unsigned seconds, bool hashed)
{
    pid_t pids[2];
    double events = 0;
    double lost = 0;
    double made_ms = 0;

    attach(FOLLOWED);
    for (int i = 0; i < 2; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            if (chdir(dir) == 0)
                (void)execl("/proc/self/exe", "witness_bench", "act", "event", "1000000000",
                            (char *)NULL);
            _exit(127);
        }
    }
    uint64_t begun = own_cpu_ns();
    chain_events(&events, &lost, seconds, hashed);
    double read_ns = (double)(own_cpu_ns() - begun);
    for (int i = 0; i < 2; i++) {
        struct rusage usage = {0};

        (void)kill(pids[i], SIGKILL);
        (void)wait4(pids[i], NULL, 0, &usage);
        made_ms += cpu_ms(&usage);
    }
    detach();
    double n = events * seconds;
    printf("%9.0f events/s for %u s from two processes, %s, %.0f lost; CPU an event: %.0f ns to "
           "make, %.0f ns to take\n",
           events, seconds, hashed ? "encoded and in a hash chain" : "translated", lost,
           made_ms * PV_NS_PER_MS / n, read_ns / n);
}

static void make_dirs(void)
{
    (void)snprintf(dir, sizeof dir, "/tmp/pv-witness-bench-XXXXXX");
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0 ||
        !mkdtemp(dir) || mount("bench", dir, "tmpfs", 0, "mode=0755") != 0)
        fatal("make a directory (needs root)", strerror(errno));
    (void)snprintf(bpffs, sizeof bpffs, "%.40s/bpf", dir);
    if (mkdir(bpffs, 0700) != 0 || mount("bench", bpffs, "bpf", 0, "mode=0700") != 0)
        fatal("mount a bpffs", strerror(errno));
}

static int quiet(enum libbpf_print_level level, const char *fmt, va_list args)
{
    (void)level;
    (void)fmt;
    (void)args;
    return 0;
}

int main(int argc, char **argv)
{
    char *calls = argc > 2 ? argv[2] : (char[]){"200000"};
    long rounds = argc > 1 ? strtol(argv[1], NULL, 10) : 7;
    long seconds = argc > 3 ? strtol(argv[3], NULL, 10) : 10;
    const char *parts = argc > 4 ? argv[4] : "calls,tar,tracers,stream";

    if (argc == 4 && strcmp(argv[1], "act") == 0)
        return act(argv[2], strtol(argv[3], NULL, 10));
    if (rounds < 1 || rounds > ROUNDS_MAX || strtol(calls, NULL, 10) < 10 || seconds < 1)
        fatal("arguments", "rounds (1 to 31), calls, seconds");
    (void)libbpf_set_print(quiet);
    make_dirs();
    if (strstr(parts, "calls"))
        time_calls((unsigned)rounds, calls);
    if (strstr(parts, "tar"))
        time_tar((unsigned)rounds, strstr(parts, "tracers"));
    if (strstr(parts, "stream")) {
        time_stream((unsigned)seconds, false);
        time_stream((unsigned)seconds, true);
    }
    (void)umount2(bpffs, MNT_DETACH);
    (void)umount2(dir, MNT_DETACH);
    (void)rmdir(dir);
    return 0;
}
