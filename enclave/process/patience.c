#include "patience.h"

#include "pv/clock.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define TICK_NS (50 * PV_NS_PER_MS)
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

static void interrupt(int signal)
{
    (void)signal;
}

int pv_patience_make(struct pv_patience *p, const atomic_bool *stopping, struct pv_err *err)
{
    struct sigaction action = {.sa_handler = interrupt};
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};

    if (p->made)
        return 0;
    event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
    if (sigaction(SIGALRM, &action, NULL) < 0 ||
        timer_create(CLOCK_MONOTONIC, &event, &p->timer) < 0)
        return pv_fail(err, errno, "make a timer");
    p->made = true;
    p->stopping = stopping;
    return 0;
}

static int set(struct pv_patience *p, uint64_t ns)
{
    struct timespec tick = {.tv_sec = (time_t)(ns / PV_NS_PER_S),
                            .tv_nsec = (long)(ns % PV_NS_PER_S)};

    return timer_settime(p->timer, 0, &(struct itimerspec){tick, tick}, NULL);
}

int pv_patience_start(struct pv_patience *p, uint64_t limit_ns, struct pv_err *err)
{
    p->end_ns = pv_now_mono_ns() + limit_ns;
    return set(p, TICK_NS) < 0 ? pv_fail(err, errno, "set a timer") : 0;
}

void pv_patience_stop(struct pv_patience *p)
{
    if (p->made)
        (void)set(p, 0);
}

bool pv_patience_over(const struct pv_patience *p)
{
    return atomic_load(p->stopping) || pv_now_mono_ns() > p->end_ns;
}

void pv_patience_done(struct pv_patience *p)
{
    if (p->made)
        (void)timer_delete(p->timer);
    p->made = false;
}
