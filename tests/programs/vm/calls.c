/* Makes system calls with good and bad arguments and prints each result, for comparison of a run on
 * the host with one in a micro-VM. Prints nothing that may differ between the two: no addresses,
 * ids or times. */
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void *volatile bad_pointer = (void *)16; /* volatile: the compiler does not know it */
#define BAD bad_pointer
static void *volatile high_pointer = (void *)0xffff800000000000ul;
#define HIGH high_pointer

static void show(int line, const char *what, long rc)
{
    if (rc == -1)
        printf("%d %s: %s\n", line, what, strerrorname_np(errno));
    else
        printf("%d %s: %ld\n", line, what, rc);
}
#define SHOW(call) show(__LINE__, #call, (long)(call))
/* Only whether it worked: the value is an address. */
#define WORKS(call) show(__LINE__, #call, (long)(call) == -1 ? -1 : 0)

static long raw(long nr, long a, long b, long c, long d, long e, long f)
{
    return syscall(nr, a, b, c, d, e, f);
}
#define RAW(nr, a, b, c, d, e, f)                                                                  \
    raw(nr, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))

static void mappings(void)
{
    enum { SIZE = 8 * 4096 };
    char *p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *hole = mmap(NULL, SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    munmap(hole, SIZE);
    SHOW(mmap(NULL, 0, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(mmap(NULL, 4096, PROT_READ, MAP_ANONYMOUS, -1, 0));
    SHOW(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, -1, 0));
    SHOW(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 999, 0));
    SHOW(mmap(NULL, 1ul << 60, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    SHOW(mmap(p + 1, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    SHOW(mmap(p, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0));
    SHOW(mmap(HIGH, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0));
    SHOW(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, 0, 0));
    SHOW(munmap(p + 1, 4096));
    SHOW(munmap(p, 0));
    SHOW(munmap(hole, 4096));
    SHOW(mprotect(p + 1, 4096, PROT_READ));
    SHOW(mprotect(p, 0, PROT_READ));
    SHOW(mprotect(hole, 4096, PROT_READ));
    SHOW(mprotect(p, 4096, 0x1000));
    SHOW(mprotect(p, 4096, PROT_READ));
    SHOW(mprotect(p, 4096, PROT_READ | PROT_WRITE));
    SHOW(mremap(p + 1, 4096, 8192, 0));
    SHOW(mremap(p, 4096, 0, MREMAP_MAYMOVE));
    SHOW(mremap(p, 4096, 8192, 0));
    SHOW(mremap(hole, 4096, 8192, MREMAP_MAYMOVE));
    SHOW(mremap(p, 4096, 8192, 64));
    SHOW(mremap(p, 4096, 8192, MREMAP_FIXED, hole));
    WORKS(mremap(p, SIZE, 2 * SIZE, MREMAP_MAYMOVE));
    p = mmap(NULL, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memset(p, 7, SIZE);
    SHOW(madvise(p, SIZE, MADV_DONTNEED));
    SHOW(p[0] + p[SIZE - 1]);
    SHOW(madvise(p + 1, 4096, MADV_DONTNEED));
    SHOW(madvise(p, 4096, 12345));
    SHOW(madvise(hole, 4096, MADV_DONTNEED));
    SHOW(madvise(p, 4096, MADV_WILLNEED));
    SHOW(msync(p, 4096, MS_SYNC));
    SHOW(msync(p + 1, 4096, MS_SYNC));
    SHOW(msync(hole, 4096, MS_SYNC));
    SHOW(mlock(hole, 4096));
    SHOW(brk(0) == -1 ? -1 : 0);
    WORKS(sbrk(100000));
    WORKS(sbrk(-100000));
}

/* The areas of a range with their protection, places counted from its start. */
static void show_areas(int line, const char *p, size_t len)
{
    FILE *f = fopen("/proc/self/maps", "r");
    unsigned long base = (unsigned long)p;
    unsigned long start;
    unsigned long end;
    char prot[5];
    char text[256];

    printf("%d areas:", line);
    while (f && fgets(text, sizeof text, f))
        if (sscanf(text, "%lx-%lx %4s", &start, &end, prot) == 3 && start >= base &&
            end <= base + len)
            printf(" %lx-%lx %s", start - base, end - base, prot);
    putchar('\n');
    if (f)
        fclose(f);
}

/* Whether n bytes at p are the file's at that place, which they are not after a write. */
static int holds(const char *p, int fd, off_t at, size_t n)
{
    static char bytes[2 * 4096];

    return pread(fd, bytes, n, at) == (ssize_t)n ? memcmp(p, bytes, n) == 0 : -2;
}

/* A file mapped over a mapping of it, as loaders do, and what was done to that before. */
static void mapped_over(void)
{
    enum { PAGE = 4096, SIZE = 4 * PAGE, OVER = MAP_PRIVATE | MAP_FIXED };
    int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    char *p = mmap(NULL, SIZE, PROT_READ, MAP_PRIVATE, fd, 0);
    const int code = PROT_READ | PROT_EXEC;

    SHOW(holds(p, fd, 0, PAGE));
    WORKS(mmap(p + PAGE, PAGE, code, OVER, fd, PAGE));
    SHOW(holds(p + PAGE, fd, PAGE, PAGE));
    show_areas(__LINE__, p, SIZE);
    WORKS(mmap(p + PAGE, PAGE, PROT_READ, OVER, fd, 0)); /* another place of the file */
    SHOW(holds(p + PAGE, fd, 0, PAGE));
    SHOW(holds(p + PAGE, fd, PAGE, PAGE));
    show_areas(__LINE__, p, SIZE);
    WORKS(mmap(p, 2 * PAGE, PROT_READ, OVER, fd, 0)); /* half of it lies there */
    SHOW(holds(p, fd, 0, 2 * PAGE));
    WORKS(mmap(p, PAGE + 1, PROT_READ, OVER, fd, 0));
    SHOW(holds(p, fd, 0, 2 * PAGE));
    SHOW(mprotect(p, PAGE, PROT_READ | PROT_WRITE));
    p[9] ^= 1;
    SHOW(mprotect(p, PAGE, PROT_READ));
    SHOW(holds(p, fd, 0, PAGE));
    SHOW(mmap(p, PAGE, PROT_READ, OVER | MAP_FIXED_NOREPLACE, fd, 0));
    WORKS(mmap(p, PAGE, PROT_READ, OVER, fd, 0)); /* it was written meanwhile */
    SHOW(holds(p, fd, 0, PAGE));
    WORKS(mmap(p, PAGE, PROT_READ | PROT_WRITE, OVER, fd, 0));
    p[9] ^= 1;
    WORKS(mmap(p, PAGE, PROT_READ, OVER, fd, 0));
    SHOW(holds(p, fd, 0, PAGE));
    SHOW(munmap(p + PAGE, PAGE));
    WORKS(mmap(p, 2 * PAGE, PROT_NONE, OVER, fd, 0));
    SHOW(mprotect(p, 2 * PAGE, PROT_READ));
    SHOW(holds(p, fd, 0, 2 * PAGE));
    WORKS(mmap(p, PAGE, PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0));
    WORKS(mmap(p, PAGE, code, OVER, fd, 0));
    SHOW(holds(p, fd, 0, 2 * PAGE));
    show_areas(__LINE__, p, SIZE);
    close(fd);
}

/* One that the program can write: what is mapped now is what it holds now. */
static void mapped_over_and_written(void)
{
    enum { PAGE = 4096, OVER = MAP_PRIVATE | MAP_FIXED };
    char name[] = "/tmp/calls-XXXXXX";
    int fd = mkstemp(name);
    char *p;

    SHOW(ftruncate(fd, 2 * PAGE));
    SHOW(pwrite(fd, "one", 3, 0));
    p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
    SHOW(memcmp(p, "one", 3));
    SHOW(pwrite(fd, "two", 3, 0));
    WORKS(mmap(p, PAGE, PROT_READ | PROT_EXEC, OVER, fd, 0));
    SHOW(memcmp(p, "two", 3));
    unlink(name);
    close(fd);
}

/* Each between two pages that are never alike, so that no neighbour joins in. */
static void protections(void)
{
    enum { PAGES = 14, PAGE = 4096, SIZE = PAGES * PAGE };
    static const int prots[] = {PROT_READ, PROT_NONE, PROT_READ | PROT_WRITE, PROT_READ,
                                PROT_READ | PROT_EXEC};
    char *whole = mmap(NULL, SIZE + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *p = whole + PAGE;

    SHOW(mprotect(p, SIZE, PROT_READ | PROT_WRITE));
    memset(p, 1, SIZE);
    show_areas(__LINE__, p, SIZE);
    for (int i = 0; i < PAGES; i += 2)
        SHOW(mprotect(p + i * PAGE, PAGE, PROT_READ));
    show_areas(__LINE__, p, SIZE);
    for (int i = 0; i < 5; i++) {
        SHOW(mprotect(p + (3 + i) * PAGE, (6 - i) * PAGE, prots[i]));
        show_areas(__LINE__, p, SIZE);
    }
    SHOW(mprotect(p + PAGE, SIZE - 2 * PAGE, PROT_READ));
    show_areas(__LINE__, p, SIZE);
    SHOW(mprotect(p, SIZE, PROT_READ | PROT_WRITE));
    show_areas(__LINE__, p, SIZE);
    SHOW(munmap(p + 6 * PAGE, PAGE));
    SHOW(mprotect(p + 4 * PAGE, 6 * PAGE, PROT_READ));
    show_areas(__LINE__, p, SIZE);
    SHOW(mprotect(p + 6 * PAGE, 2 * PAGE, PROT_READ));
    show_areas(__LINE__, p, SIZE);
    SHOW(p[0] + p[SIZE - 1]);
}

static void pointers(void)
{
    char *two = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    char *ro = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct iovec v[3] = {{two, 2}, {BAD, 3}, {two, 1}};
    struct iovec huge[2] = {{two, SIZE_MAX / 2 - 5}, {two, SIZE_MAX / 2 - 5}};
    int p[2];

    munmap(two + 4096, 4096);
    SHOW(pipe(p));
    SHOW(pipe(BAD));
    SHOW(pipe((int *)(two + 4092)));
    SHOW(pipe2(p, 0x12345));
    SHOW(write(p[1], BAD, 4));
    SHOW(write(p[1], HIGH, 4));
    SHOW(write(p[1], NULL, 0));
    SHOW(write(p[1], two + 4090, 6));
    SHOW(read(p[0], ro, 6));
    SHOW(read(p[0], BAD, 1));
    SHOW(read(p[0], two + 4090, 6));
    SHOW(writev(p[1], v, 1));
    SHOW(RAW(SYS_writev, p[1], v, -1, 0, 0, 0));
    SHOW(RAW(SYS_writev, p[1], v, 2000, 0, 0, 0));
    SHOW(writev(p[1], BAD, 1));
    SHOW(writev(p[1], huge, 2));
    SHOW(writev(p[1], (struct iovec *)(two + 4088), 1));
    SHOW(read(p[0], two, 100));
    SHOW(read(99, two, 1));
    SHOW(write(p[0], two, 1));
    SHOW(read(p[1], two, 1));
    SHOW(open(BAD, O_RDONLY));
    SHOW(open(two + 4095, O_RDONLY)); /* an empty path */
    memset(two, 'a', 4096);
    SHOW(open(two, O_RDONLY)); /* no end before the hole */
    SHOW(RAW(SYS_clock_gettime, CLOCK_MONOTONIC, BAD, 0, 0, 0, 0));
    SHOW(RAW(SYS_clock_gettime, CLOCK_MONOTONIC, ro, 0, 0, 0, 0));
    SHOW(RAW(SYS_uname, BAD, 0, 0, 0, 0, 0));
    SHOW(RAW(SYS_getrandom, BAD, 8, 0, 0, 0, 0));
    SHOW(RAW(SYS_getrandom, two, 8, 64, 0, 0, 0));
    SHOW(RAW(SYS_getrandom, two, 8, 0, 0, 0, 0));
    SHOW(RAW(SYS_getrandom, two + 4088, 8, 0, 0, 0, 0));
    SHOW(close(p[0]));
    SHOW(close(p[0]));
    signal(SIGPIPE, SIG_IGN);
    SHOW(write(p[1], two, 1));
    SHOW(close(p[1]));
}

static volatile sig_atomic_t got, code;

static void handler(int n, siginfo_t *info, void *context)
{
    (void)context;
    got = n;
    code = info->si_code;
}

static void signals(void)
{
    struct sigaction sa = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO};
    struct timespec none = {0, 1000000};
    struct itimerval it = {{0, 0}, {0, 2000}};
    stack_t ss = {.ss_sp = NULL, .ss_size = 100};
    siginfo_t info;
    sigset_t set;

    SHOW(sigaction(SIGUSR1, &sa, NULL));
    SHOW(sigaction(SIGKILL, &sa, NULL));
    SHOW(sigaction(65, &sa, NULL));
    SHOW(sigaction(0, &sa, NULL));
    SHOW(RAW(SYS_rt_sigaction, SIGUSR1, BAD, 0, 8, 0, 0));
    SHOW(RAW(SYS_rt_sigaction, SIGUSR1, 0, 0, 4, 0, 0));
    SHOW(raise(SIGUSR1));
    SHOW(got == SIGUSR1);
    SHOW(code == SI_TKILL);
    SHOW(kill(getpid(), SIGUSR1));
    SHOW(code == SI_USER);
    SHOW(kill(getpid(), 0));
    SHOW(kill(getpid(), 99));
    SHOW(kill(12345678, 0));
    SHOW(RAW(SYS_tgkill, getpid(), 12345678, SIGUSR1, 0, 0, 0));
    SHOW(RAW(SYS_tgkill, -1, 1, SIGUSR1, 0, 0, 0));
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    SHOW(sigprocmask(SIG_BLOCK, &set, NULL));
    SHOW(RAW(SYS_rt_sigprocmask, 9, &set, 0, 8, 0, 0));
    SHOW(RAW(SYS_rt_sigprocmask, SIG_BLOCK, BAD, 0, 8, 0, 0));
    SHOW(RAW(SYS_rt_sigprocmask, SIG_BLOCK, &set, 0, 7, 0, 0));
    got = 0;
    SHOW(raise(SIGUSR1));
    SHOW(got);
    SHOW(sigpending(&set));
    SHOW(sigismember(&set, SIGUSR1));
    SHOW(sigtimedwait(&set, &info, &none));
    SHOW(sigtimedwait(&set, &info, &none));
    SHOW(sigprocmask(SIG_UNBLOCK, &set, NULL));
    SHOW(got);
    sa.sa_flags |= SA_RESETHAND;
    SHOW(sigaction(SIGALRM, &sa, NULL));
    SHOW(setitimer(ITIMER_REAL, &it, NULL));
    SHOW(pause());
    SHOW(got == SIGALRM);
    SHOW(setitimer(77, &it, NULL));
    SHOW(sigaltstack(&ss, NULL));
    SHOW(sigaltstack(NULL, &ss));
    SHOW(ss.ss_flags == SS_DISABLE);
    SHOW(alarm(100));
    SHOW(alarm(0));
}

static void threads(void)
{
    static int word = 5;
    struct timespec soon = {0, 1000000};
    struct timespec bad = {0, -1};
    cpu_set_t cpus;

    SHOW(RAW(SYS_futex, &word, FUTEX_WAIT, 4, 0, 0, 0));
    SHOW(RAW(SYS_futex, &word, FUTEX_WAIT, 5, &soon, 0, 0));
    SHOW(RAW(SYS_futex, &word, FUTEX_WAIT, 5, &bad, 0, 0));
    SHOW(RAW(SYS_futex, (char *)&word + 1, FUTEX_WAIT, 5, &soon, 0, 0));
    SHOW(RAW(SYS_futex, BAD, FUTEX_WAIT, 5, &soon, 0, 0));
    SHOW(RAW(SYS_futex, &word, FUTEX_WAKE, 1, 0, 0, 0));
    SHOW(RAW(SYS_futex, &word, FUTEX_WAIT_BITSET, 5, &soon, 0, 0));
    SHOW(RAW(SYS_futex, &word, 99, 5, 0, 0, 0));
    SHOW(RAW(SYS_set_robust_list, 0, 3, 0, 0, 0, 0));
    SHOW(RAW(SYS_sched_getaffinity, 0, 4, &cpus, 0, 0, 0));
    SHOW(sched_yield());
    SHOW(sched_get_priority_max(SCHED_OTHER));
    SHOW(sched_get_priority_max(77));
    SHOW(prctl(PR_SET_NAME, "name"));
    SHOW(prctl(PR_SET_NAME, BAD));
    SHOW(prctl(12345, 0, 0, 0, 0));
    SHOW(waitpid(-1, NULL, 0));
}

static void clocks(void)
{
    struct timespec ts = {0, 1000};
    struct timespec bad = {0, 2000000000};
    struct timeval tv;

    SHOW(clock_gettime(CLOCK_MONOTONIC, &ts));
    SHOW(RAW(SYS_clock_gettime, 99, &ts, 0, 0, 0, 0));
    SHOW(clock_getres(CLOCK_REALTIME, &ts));
    SHOW(gettimeofday(&tv, NULL));
    SHOW(RAW(SYS_nanosleep, &bad, 0, 0, 0, 0, 0));
    SHOW(RAW(SYS_nanosleep, BAD, 0, 0, 0, 0, 0));
    ts = (struct timespec){0, 100000};
    SHOW(nanosleep(&ts, NULL));
    SHOW(RAW(SYS_clock_nanosleep, 99, 0, &ts, 0, 0, 0));
    SHOW(RAW(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, 0, 0, 0));
    SHOW(clock_settime(CLOCK_REALTIME, &ts));
}

static volatile int thread_ran;

static void on_thread(union sigval v)
{
    (void)!write(1, "on a thread: ", 13);
    (void)!write(1, v.sival_ptr, 2);
    thread_ran = 1;
}

/* Waits for the signal, which is blocked: what came with it. */
static void show_timer(int line, const sigset_t *set)
{
    const struct timespec limit = {20, 0};
    siginfo_t info;
    int n = sigtimedwait(set, &info, &limit);

    printf("%d signal %d code %d value %d overrun %d\n", line, n, info.si_code,
           info.si_value.sival_int, info.si_overrun > 0);
}

static void timers(void)
{
    struct sigevent e = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec soon = {{0, 0}, {0, 1000000}};
    struct itimerspec often = {{0, 1000000}, {0, 1000000}};
    struct itimerspec never = {{0, 5}, {0, 0}};
    struct itimerspec bad = {{0, 0}, {0, 1000000000}};
    struct itimerspec far = {{7, 0}, {1000, 0}};
    const struct timespec at_once = {0, 0};
    struct itimerspec old;
    sigset_t set;
    int id[3];
    timer_t timer;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    sigprocmask(SIG_BLOCK, &set, NULL);
    e.sigev_value.sival_int = 77;
    SHOW(RAW(SYS_timer_create, 99, &e, &id[0], 0, 0, 0));
    SHOW(RAW(SYS_timer_create, CLOCK_MONOTONIC, BAD, &id[0], 0, 0, 0));
    SHOW(RAW(SYS_timer_create, CLOCK_MONOTONIC, &e, BAD, 0, 0, 0));
    e.sigev_signo = 65;
    SHOW(RAW(SYS_timer_create, CLOCK_MONOTONIC, &e, &id[0], 0, 0, 0));
    e.sigev_signo = SIGUSR1;
    e.sigev_notify = 99;
    SHOW(RAW(SYS_timer_create, CLOCK_MONOTONIC, &e, &id[0], 0, 0, 0));
    e.sigev_notify = SIGEV_SIGNAL;
    SHOW(RAW(SYS_timer_create, CLOCK_MONOTONIC, &e, &id[0], 0, 0, 0));
    e.sigev_notify = SIGEV_NONE;
    SHOW(RAW(SYS_timer_create, CLOCK_REALTIME, &e, &id[1], 0, 0, 0));
    SHOW(RAW(SYS_timer_settime, 12345, 0, &soon, 0, 0, 0));
    SHOW(RAW(SYS_timer_settime, id[0], 0, 0, 0, 0, 0));
    SHOW(RAW(SYS_timer_settime, id[0], 0, BAD, 0, 0, 0));
    SHOW(RAW(SYS_timer_settime, id[0], 0, &bad, 0, 0, 0));
    SHOW(RAW(SYS_timer_gettime, 12345, &old, 0, 0, 0, 0));
    SHOW(RAW(SYS_timer_gettime, id[0], BAD, 0, 0, 0, 0));
    SHOW(RAW(SYS_timer_getoverrun, 12345, 0, 0, 0, 0, 0));
    SHOW(RAW(SYS_timer_delete, 12345, 0, 0, 0, 0, 0));
    SHOW(RAW(SYS_timer_settime, id[0], 0, &soon, &old, 0, 0));
    SHOW(old.it_value.tv_sec + old.it_value.tv_nsec + old.it_interval.tv_nsec);
    show_timer(__LINE__, &set);
    SHOW(RAW(SYS_timer_getoverrun, id[0], 0, 0, 0, 0, 0));
    SHOW(RAW(SYS_timer_gettime, id[0], &old, 0, 0, 0, 0));
    SHOW(old.it_value.tv_sec + old.it_value.tv_nsec);
    SHOW(RAW(SYS_timer_settime, id[0], 0, &often, 0, 0, 0));
    usleep(20000);
    show_timer(__LINE__, &set);
    SHOW(RAW(SYS_timer_settime, id[0], 0, &never, &old, 0, 0));
    /* it may have rung once more before it was disarmed */
    (void)sigtimedwait(&set, NULL, &(struct timespec){0, 0});
    SHOW(old.it_interval.tv_nsec);
    /* one that came meanwhile: kernels before 6.13 leave it pending */
    while (sigtimedwait(&set, NULL, &at_once) > 0)
        ;
    SHOW(RAW(SYS_timer_gettime, id[0], &old, 0, 0, 0, 0));
    SHOW(old.it_value.tv_sec + old.it_value.tv_nsec);
    SHOW(RAW(SYS_timer_settime, id[1], 0, &far, 0, 0, 0));
    SHOW(RAW(SYS_timer_gettime, id[1], &old, 0, 0, 0, 0));
    SHOW(old.it_value.tv_sec > 900 && old.it_value.tv_sec <= 1000);
    SHOW(old.it_interval.tv_sec);
    /* long past on that clock */
    SHOW(RAW(SYS_timer_settime, id[0], TIMER_ABSTIME, &soon, 0, 0, 0));
    show_timer(__LINE__, &set);
    SHOW(RAW(SYS_timer_delete, id[0], 0, 0, 0, 0, 0));
    SHOW(RAW(SYS_timer_delete, id[0], 0, 0, 0, 0, 0));
    SHOW(RAW(SYS_timer_delete, id[1], 0, 0, 0, 0, 0));
    SHOW(RAW(SYS_timer_create, CLOCK_BOOTTIME, 0, &id[2], 0, 0, 0));
    SHOW(RAW(SYS_timer_delete, id[2], 0, 0, 0, 0, 0));
    fflush(stdout);
    e = (struct sigevent){.sigev_notify = SIGEV_THREAD, .sigev_notify_function = on_thread};
    e.sigev_value.sival_ptr = (void *)(uintptr_t) "!\n";
    SHOW(timer_create(CLOCK_MONOTONIC, &e, &timer));
    SHOW(timer_settime(timer, 0, &soon, NULL));
    fflush(stdout);
    while (!thread_ran)
        usleep(1000);
    SHOW(timer_delete(timer));
}

static void waits(void)
{
    struct pollfd fds[2] = {{.fd = -1, .events = POLLIN}, {.fd = 77, .events = POLLIN}};
    struct epoll_event e = {.events = EPOLLIN};
    struct timeval tv = {0, 1000};
    struct timeval bad = {-1, 0};
    int event = eventfd(0, EFD_NONBLOCK);
    int ep = epoll_create1(0);
    uint64_t v = 3;
    fd_set set;

    SHOW(poll(fds, 1, 1));
    SHOW(poll(fds, 2, 1));
    SHOW(fds[1].revents == POLLNVAL);
    SHOW(poll(BAD, 1, 1));
    SHOW(RAW(SYS_poll, fds, 100000000, 1, 0, 0, 0));
    FD_ZERO(&set);
    SHOW(select(0, NULL, NULL, NULL, &tv));
    SHOW(select(0, NULL, NULL, NULL, &bad));
    SHOW(select(-1, NULL, NULL, NULL, &tv));
    FD_SET(57, &set); /* within the smallest table of descriptors: Linux ignores what lies beyond */
    SHOW(select(58, &set, NULL, NULL, &tv));
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, event, &e));
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, event, &e));
    SHOW(epoll_ctl(ep, EPOLL_CTL_ADD, 77, &e));
    SHOW(epoll_ctl(ep, 9, event, &e));
    SHOW(epoll_ctl(ep, EPOLL_CTL_MOD, event, BAD));
    SHOW(epoll_wait(ep, &e, 1, 1));
    SHOW(epoll_wait(ep, &e, 0, 1));
    SHOW(read(event, &v, 8));
    SHOW(write(event, &v, 8));
    SHOW(epoll_wait(ep, &e, 1, 1));
    SHOW(epoll_wait(ep, BAD, 1, 1));
    SHOW(read(event, &v, 4));
    SHOW(read(event, &v, 8));
    SHOW((long)v);
}

static void limits(void)
{
    struct rlimit l;

    SHOW(getrlimit(RLIMIT_STACK, &l));
    SHOW(getrlimit(999, &l));
    SHOW(RAW(SYS_getrlimit, RLIMIT_STACK, BAD, 0, 0, 0, 0));
    SHOW(RAW(SYS_prlimit64, 12345678, RLIMIT_STACK, 0, 0, 0, 0));
    l = (struct rlimit){200, 100};
    SHOW(setrlimit(RLIMIT_NOFILE, &l));
    SHOW(RAW(1000, 0, 0, 0, 0, 0, 0));
    SHOW(RAW(-1, 0, 0, 0, 0, 0, 0));
    SHOW(RAW(SYS_getgroups, -1, 0, 0, 0, 0, 0));
    SHOW(setuid(geteuid()));
    SHOW(setuid(geteuid() + 1));
    SHOW(RAW(SYS_chroot, "/", 0, 0, 0, 0, 0));
    SHOW(RAW(SYS_mount, "/", "/", "tmpfs", 0, 0, 0));
}

int main(void)
{
    char byte;

    mapped_over(); /* while pages can still be told from those that a run has written */
    while (read(0, &byte, 1) == 1)
        ;
    mapped_over();
    mapped_over_and_written();
    mappings();
    protections();
    pointers();
    signals();
    threads();
    clocks();
    timers();
    waits();
    limits();
    return 0;
}
