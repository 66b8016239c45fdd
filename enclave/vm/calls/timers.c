/* POSIX timers: timer_create(2) and its kin. Those that measure processor time are refused. */
#include "calls/theme.h"

#include "pv/clock.h"
#include "thread/threads.h"

#include <errno.h>
#include <string.h>
#include <time.h>

/* As in the kernel's interface. */
struct event {
    uint64_t value;
    int32_t signal, notify, tid;
    uint8_t rest[44];
};
_Static_assert(sizeof(struct event) == 64, "sigevent_t of x86-64");
struct setting {
    int64_t every[2], first[2];
};

static struct pv_posix_timer *find(struct pv_vm *vm, uint64_t id)
{
    struct pv_process *p = &vm->process;

    return (uint32_t)id < p->n_timers && p->timers[(uint32_t)id].made ? &p->timers[(uint32_t)id]
                                                                      : NULL;
}

static int take_event(struct pv_vm *vm, const struct event *e, struct pv_posix_timer *ret)
{
    ret->value = e->value;
    ret->signal = e->signal;
    switch (e->notify) {
    case SIGEV_NONE:
        ret->quiet = true;
        return 0;
    case SIGEV_THREAD_ID:
        ret->tid = e->tid;
        if (!pv_threads_find(vm, e->tid))
            return -EINVAL;
        break;
    case SIGEV_SIGNAL:
    case SIGEV_THREAD:
        break;
    default:
        return -EINVAL;
    }
    return e->signal > 0 && e->signal <= PV_SIGNALS ? 0 : -EINVAL;
}

int64_t call_timer_create(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct pv_process *p = &vm->process;
    struct pv_posix_timer made = {.made = true, .clock = (int)a[0]};
    struct event e = {.signal = SIGALRM};
    int32_t id = 0;

    (void)t;
    if (made.clock != CLOCK_REALTIME && made.clock != CLOCK_MONOTONIC &&
        made.clock != CLOCK_BOOTTIME && made.clock != CLOCK_TAI)
        return -EINVAL;
    while (id < PV_TIMERS_MAX && p->timers[id].made)
        id++;
    if (id == PV_TIMERS_MAX)
        return -EAGAIN;
    e.value = (uint64_t)id;
    if (a[1] && pv_copy_in(&vm->space, &e, a[1], sizeof e) < 0)
        return -EFAULT;
    PV_TRY(take_event(vm, &e, &made));
    if (pv_copy_out(&vm->space, a[2], &id, sizeof id) < 0)
        return -EFAULT;
    p->timers[id] = made;
    if ((unsigned)id >= p->n_timers)
        p->n_timers = (unsigned)id + 1;
    return 0;
}

static void put_time(int64_t to[2], uint64_t ns)
{
    to[0] = (int64_t)(ns / PV_NS_PER_S);
    to[1] = (int64_t)(ns % PV_NS_PER_S);
}

/* What is left; at least a nanosecond while a signal is on its way. */
static struct setting left(const struct pv_posix_timer *timer)
{
    uint64_t now = pv_now_mono_ns();
    uint64_t at = timer->due.at_ns;
    struct setting s = {.every = {0}};

    put_time(s.every, timer->due.every_ns);
    put_time(s.first, !at ? 0 : at > now ? at - now : timer->quiet && !timer->due.every_ns ? 0 : 1);
    return s;
}

/* The monotonic time at which the clock will say so. */
static uint64_t absolute(struct pv_vm *vm, const struct pv_posix_timer *timer, uint64_t ns)
{
    struct timespec now;

    (void)vm->files_host.now(vm, timer->clock, &now);
    uint64_t now_ns = (uint64_t)now.tv_sec * PV_NS_PER_S + (uint64_t)now.tv_nsec;
    return pv_call_until(ns > now_ns ? ns - now_ns : 0);
}

int64_t call_timer_settime(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct setting new;
    uint64_t every;
    uint64_t first;

    (void)t;
    if (!a[2])
        return -EINVAL;
    if (pv_copy_in(&vm->space, &new, a[2], sizeof new) < 0)
        return -EFAULT;
    PV_TRY(pv_call_timespec(vm, a[2], &every));
    PV_TRY(pv_call_timespec(vm, a[2] + sizeof new.every, &first));
    struct pv_posix_timer *timer = find(vm, a[0]);
    if (!timer)
        return -EINVAL;
    struct setting old = left(timer);
    uint64_t at = first ? pv_call_until(first) : 0;
    if (first && ((int)a[1] & TIMER_ABSTIME))
        at = absolute(vm, timer, first);
    timer->due = (struct pv_interval_timer){at, every};
    timer->overrun = 0;
    return a[3] ? pv_call_out(vm, 0, a[3], &old, sizeof old) : 0;
}

int64_t call_timer_gettime(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    const struct pv_posix_timer *timer = find(vm, a[0]);

    (void)t;
    if (!timer)
        return -EINVAL;
    const struct setting s = left(timer);
    return pv_call_out(vm, 0, a[1], &s, sizeof s);
}

int64_t call_timer_getoverrun(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    const struct pv_posix_timer *timer = find(vm, a[0]);

    (void)t;
    if (!timer)
        return -EINVAL;
    return timer->overrun < INT32_MAX ? (int64_t)timer->overrun : INT32_MAX;
}

int64_t call_timer_delete(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct pv_posix_timer *timer = find(vm, a[0]);

    (void)t;
    if (!timer)
        return -EINVAL;
    *timer = (struct pv_posix_timer){0};
    return 0;
}
