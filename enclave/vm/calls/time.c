#include "calls/theme.h"
#include "pv/clock.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

int64_t call_clock_gettime(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct timespec ts;

    (void)t;
    return pv_call_out(vm, vm->files_host.now(vm, (clockid_t)a[0], &ts), a[1], &ts, sizeof ts);
}

/* Resolution in ns, 0 for a clock that does not exist; the host is not asked, so that the answer is
 * the same whatever the monitor may still do there. */
static long resolution_ns(int clock)
{
    enum { COARSE_NS = 4000000 }; /* a tick of Debian's kernels */

    switch (clock) {
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC_COARSE:
        return COARSE_NS;
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_BOOTTIME:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_BOOTTIME_ALARM:
    case CLOCK_TAI:
        return 1;
    default:
        return 0;
    }
}

int64_t call_clock_getres(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    const struct timespec ts = {.tv_nsec = resolution_ns((int)a[0])};

    (void)t;
    if (!ts.tv_nsec)
        return -EINVAL;
    return a[1] ? pv_call_out(vm, 0, a[1], &ts, sizeof ts) : 0;
}

int64_t call_gettimeofday(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    const int zone[2] = {0, 0};
    struct timespec ts;

    (void)t;
    (void)vm->files_host.now(vm, CLOCK_REALTIME, &ts);
    const struct timeval tv = {ts.tv_sec, ts.tv_nsec / 1000};
    if (a[0] && pv_copy_out(&vm->space, a[0], &tv, sizeof tv) < 0)
        return -EFAULT;
    return a[1] ? pv_call_out(vm, 0, a[1], zone, sizeof zone) : 0;
}

int64_t call_time(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct timespec ts;

    (void)t;
    (void)vm->files_host.now(vm, CLOCK_REALTIME, &ts);
    return a[0] ? pv_call_out(vm, ts.tv_sec, a[0], &ts.tv_sec, sizeof ts.tv_sec) : ts.tv_sec;
}

int64_t call_times(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct timespec cpu;
    struct tms tms = {0};
    const long tick_ns = (long)(PV_NS_PER_S / 100);

    (void)t;
    (void)vm->files_host.now(vm, CLOCK_PROCESS_CPUTIME_ID, &cpu);
    tms.tms_utime = cpu.tv_sec * 100 + cpu.tv_nsec / tick_ns;
    int64_t ticks = (int64_t)(pv_now_mono_ns() / (uint64_t)tick_ns);
    return a[0] ? pv_call_out(vm, ticks, a[0], &tms, sizeof tms) : ticks;
}

int64_t call_getrusage(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct rusage usage = {0};
    struct timespec cpu;

    (void)t;
    if ((int)a[0] != RUSAGE_SELF && (int)a[0] != RUSAGE_THREAD && (int)a[0] != RUSAGE_CHILDREN)
        return -EINVAL;
    if ((int)a[0] != RUSAGE_CHILDREN) {
        (void)vm->files_host.now(vm, CLOCK_PROCESS_CPUTIME_ID, &cpu);
        usage.ru_utime = (struct timeval){cpu.tv_sec, cpu.tv_nsec / 1000};
        usage.ru_maxrss = (long)(vm->memory.n_used * PV_PAGE / 1024);
    }
    return pv_call_out(vm, 0, a[1], &usage, sizeof usage);
}

/* Waits until t->until_ns has passed. */
static int64_t sleep_on(const struct pv_thread *t)
{
    return pv_now_mono_ns() >= t->until_ns ? 0 : PV_CALL_WAIT;
}

int64_t call_nanosleep(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    uint64_t ns;

    PV_TRY(pv_call_timespec(vm, a[0], &ns));
    if (!t->again)
        t->until_ns = pv_call_until(ns);
    return sleep_on(t);
}

int64_t call_clock_nanosleep(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct timespec now;
    uint64_t ns;

    if (vm->files_host.now(vm, (clockid_t)a[0], &now) < 0)
        return -EINVAL;
    PV_TRY(pv_call_timespec(vm, a[2], &ns));
    if (a[1] & TIMER_ABSTIME) {
        uint64_t now_ns = (uint64_t)now.tv_sec * PV_NS_PER_S + (uint64_t)now.tv_nsec;
        ns = ns > now_ns ? ns - now_ns : 0;
    }
    if (!t->again)
        t->until_ns = pv_call_until(ns);
    return sleep_on(t);
}

/* What is left of the interval timer, as setitimer reports it. */
static struct itimerval interval_left(const struct pv_vm *vm)
{
    const struct pv_interval_timer *r = &vm->process.real;
    uint64_t now = pv_now_mono_ns();
    uint64_t left = r->at_ns > now ? (r->at_ns - now) / 1000 : 0;
    uint64_t every = r->every_ns / 1000;

    return (struct itimerval){
        .it_interval = {(time_t)(every / 1000000), (suseconds_t)(every % 1000000)},
        .it_value = {(time_t)(left / 1000000), (suseconds_t)(left % 1000000)}};
}

static int interval_ns(const struct timeval *tv, uint64_t *ret)
{
    if (tv->tv_sec < 0 || tv->tv_usec < 0 || tv->tv_usec >= 1000000)
        return -EINVAL;
    *ret = tv->tv_sec > INT32_MAX
               ? UINT64_MAX / 4
               : (uint64_t)tv->tv_sec * PV_NS_PER_S + (uint64_t)tv->tv_usec * 1000;
    return 0;
}

int64_t call_setitimer(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct itimerval old = interval_left(vm);
    struct itimerval new = {0};
    uint64_t first;
    uint64_t every;

    (void)t;
    if ((int)a[0] != ITIMER_REAL)
        return -EINVAL;
    if (a[1] && pv_copy_in(&vm->space, &new, a[1], sizeof new) < 0)
        return -EFAULT;
    PV_TRY(interval_ns(&new.it_value, &first));
    PV_TRY(interval_ns(&new.it_interval, &every));
    vm->process.real.at_ns = first ? pv_call_until(first) : 0;
    vm->process.real.every_ns = every;
    return a[2] ? pv_call_out(vm, 0, a[2], &old, sizeof old) : 0;
}

int64_t call_getitimer(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct itimerval now = interval_left(vm);

    (void)t;
    if ((int)a[0] != ITIMER_REAL)
        return -EINVAL;
    return pv_call_out(vm, 0, a[1], &now, sizeof now);
}

int64_t call_alarm(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct itimerval old = interval_left(vm);
    uint64_t seconds = (uint32_t)a[0];

    (void)t;
    vm->process.real.at_ns = seconds ? pv_call_until(seconds * PV_NS_PER_S) : 0;
    vm->process.real.every_ns = 0;
    return old.it_value.tv_sec + (old.it_value.tv_usec > 0);
}
