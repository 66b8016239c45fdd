/* A CPU share: of each period the VM's thread may compute for a part, and then stands still until
 * the period is over, as a cgroup's quota has it. By the monitor, for a cgroup of threads is
 * another thing under v1 than under v2, and there may be none. */
#include "thread/threads.h"

#include "pv/clock.h"

#include <time.h>

#define PERIOD_NS (100 * PV_NS_PER_MS)

uint64_t pv_cpu_now_ns(void)
{
    struct timespec ts;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * PV_NS_PER_S + (uint64_t)ts.tv_nsec;
}

/* The start is the platform's doing as much as the program's, and once for all instances. */
bool pv_share_holds(const struct pv_vm *vm)
{
    return vm->limits.cpu_millis && vm->phase == PV_VM_RUNNING;
}

uint64_t pv_share_left_ns(const struct pv_vm *vm)
{
    uint64_t part = vm->limits.cpu_millis * (PERIOD_NS / 1000);
    uint64_t used = pv_cpu_now_ns() - vm->share_cpu_ns;

    return used < part ? part - used : 0;
}

static void stand_still(struct pv_vm *vm, uint64_t until_ns)
{
    const struct timespec until = {.tv_sec = (time_t)(until_ns / PV_NS_PER_S),
                                   .tv_nsec = (long)(until_ns % PV_NS_PER_S)};

    /* the alarm interrupts it now and then, and so does whoever stops the run */
    while (!atomic_load(&vm->stop) &&
           clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) != 0)
        ;
}

/* A period goes on from one run to the next: many short ones are not more than a long one. */
uint64_t pv_share_wait(struct pv_vm *vm, uint64_t now)
{
    uint64_t end = vm->share_start_ns + PERIOD_NS;

    if (now < end) {
        if (pv_share_left_ns(vm) > 0)
            return now;
        stand_still(vm, vm->deadline_ns && vm->deadline_ns < end ? vm->deadline_ns : end);
        now = pv_now_mono_ns();
    }
    vm->share_start_ns = now;
    vm->share_cpu_ns = pv_cpu_now_ns();
    return now;
}
