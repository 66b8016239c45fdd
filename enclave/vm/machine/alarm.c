#include "machine/alarm.h"

#include "pv/clock.h"
#include "pv/vm.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Thread_local struct kvm_run *volatile target;
static pthread_once_t once = PTHREAD_ONCE_INIT;
static int install_error;

static void ring(int signal)
{
    (void)signal;
    if (target)
        target->immediate_exit = 1;
}

static void install(void)
{
    struct sigaction sa = {.sa_handler = ring}; /* no SA_RESTART: a blocking read ends, too */

    (void)sigemptyset(&sa.sa_mask);
    if (sigaction(PV_VM_SIGNAL, &sa, NULL) < 0)
        install_error = errno;
}

int pv_alarm_new(struct pv_alarm *a, struct pv_err *err)
{
    struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = PV_VM_SIGNAL};

    *a = (struct pv_alarm){0};
    (void)pthread_once(&once, install);
    if (install_error)
        return pv_fail(err, install_error, "install the timers' handler");
    event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
    if (timer_create(CLOCK_MONOTONIC, &event, &a->timer) < 0)
        return pv_fail(err, errno, "make a timer");
    a->made = true;
    return 0;
}

void pv_alarm_done(struct pv_alarm *a)
{
    if (a->made)
        (void)timer_delete(a->timer);
    *a = (struct pv_alarm){0};
}

/* Rings again and again, should one ring be missed: a handler may be held back (as sanitizers do)
 * past the entry that it was to end. */
static void arm(struct pv_alarm *a, uint64_t at_ns)
{
    enum { AGAIN_MS = 10 };
    struct itimerspec when = {
        .it_interval = {.tv_nsec = at_ns ? (long)(AGAIN_MS * PV_NS_PER_MS) : 0},
        .it_value = {.tv_sec = (time_t)(at_ns / PV_NS_PER_S),
                     .tv_nsec = (long)(at_ns % PV_NS_PER_S)}};

    a->at_ns = at_ns;
    a->ticking = at_ns != 0;
    (void)timer_settime(a->timer, TIMER_ABSTIME, &when, NULL);
}

void pv_alarm_set(struct pv_alarm *a, uint64_t at_ns)
{
    if (at_ns == 0 ? a->ticking : a->at_ns == 0 || at_ns < a->at_ns)
        arm(a, at_ns);
}

void pv_alarm_rang(struct pv_alarm *a)
{
    a->at_ns = 0;
}

void pv_alarm_target(struct kvm_run *run)
{
    target = run;
}
