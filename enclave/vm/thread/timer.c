/* Interval timer and POSIX timers: when they are due, and their signals. */
#include "thread/threads.h"

/* One that is to ring more often would only keep the program from running. */
enum { PERIOD_MIN_NS = 100000 };

static bool is_pending(const struct pv_process *p, const struct pv_thread *to, int id, int signal)
{
    uint64_t pending = to ? to->pending : p->pending;
    const struct pv_signal_info *info = to ? &to->info[signal - 1] : &p->info[signal - 1];

    return (pending & PV_SIGNAL_BIT(signal)) && info->code == SI_TIMER && info->pid == id;
}

/* A signal that is still pending counts what comes to it (timer_getoverrun(2)). */
static void ring(struct pv_vm *vm, int id, uint64_t times)
{
    struct pv_posix_timer *t = &vm->process.timers[id];
    struct pv_thread *to = t->tid ? pv_threads_find(vm, t->tid) : NULL;

    if (t->quiet || (t->tid && !to))
        return;
    t->overrun = is_pending(&vm->process, to, id, t->signal) ? t->overrun + times : times - 1;
    const struct pv_signal_info info = {
        .code = SI_TIMER, .pid = id, .value = t->value, .address = t->overrun};
    pv_signal_send(vm, to, t->signal, &info);
}

/* How often it has expired by now; it is due again after that, or not at all. */
static uint64_t expirations(struct pv_interval_timer *t, uint64_t now)
{
    uint64_t n = 1;

    if (!t->at_ns || now < t->at_ns)
        return 0;
    if (!t->every_ns) {
        t->at_ns = 0;
        return n;
    }
    n += (now - t->at_ns) / t->every_ns;
    uint64_t skipped = t->every_ns < PERIOD_MIN_NS ? PERIOD_MIN_NS / t->every_ns : 0;
    t->at_ns += (n + skipped) * t->every_ns;
    return n;
}

void pv_timers_check(struct pv_vm *vm, uint64_t now)
{
    const struct pv_signal_info info = {.code = SI_KERNEL};
    struct pv_process *p = &vm->process;

    if (expirations(&p->real, now))
        pv_signal_send(vm, NULL, SIGALRM, &info);
    for (unsigned i = 0; i < p->n_timers; i++) {
        uint64_t n = expirations(&p->timers[i].due, now);

        if (n)
            ring(vm, (int)i, n);
    }
}

uint64_t pv_timers_next(const struct pv_process *p)
{
    uint64_t next = p->real.at_ns;

    for (unsigned i = 0; i < p->n_timers; i++) {
        uint64_t at = p->timers[i].due.at_ns;

        if (at && (!next || at < next))
            next = at;
    }
    return next;
}

static void shift(struct pv_interval_timer *t, uint64_t by_ns)
{
    if (t->at_ns && t->at_ns < UINT64_MAX - by_ns)
        t->at_ns += by_ns;
}

void pv_timers_shift(struct pv_process *p, uint64_t by_ns)
{
    shift(&p->real, by_ns);
    for (unsigned i = 0; i < p->n_timers; i++)
        shift(&p->timers[i].due, by_ns);
}
