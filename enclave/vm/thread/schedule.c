/* Which thread runs next, for how long, and what happens while none can. */
#include "thread/threads.h"

#include "calls/calls.h"
#include "calls/shim.h"
#include "pv/clock.h"

#include <errno.h>
#include <poll.h>

enum { HOST_FDS_MAX = 64, SLICE_MS = 5, IDLE_MS = 10 };
#define SLICE_NS (SLICE_MS * PV_NS_PER_MS)

static uint64_t sooner(uint64_t a, uint64_t b)
{
    if (a == 0 || b == 0)
        return a ? a : b;
    return a < b ? a : b;
}

/* Ends the run where a limit of time has passed. */
static void check_time(struct pv_vm *vm, uint64_t now)
{
    if (atomic_load(&vm->stop))
        pv_vm_finish_run(vm, PV_VM_STOPPED, 0, "stopped from outside");
    else if (vm->deadline_ns && now >= vm->deadline_ns)
        pv_vm_finish_run(vm, PV_VM_DEADLINE, 0,
                         "not finished at its deadline, %.3f s after its start",
                         (double)(now - vm->wall_start_ns) / 1e9);
    else if (vm->limits.cpu_ns && pv_cpu_now_ns() - vm->cpu_start_ns >= vm->limits.cpu_ns)
        pv_vm_finish_run(vm, PV_VM_CPU, 0, "more than %.3f s of CPU time",
                         (double)vm->limits.cpu_ns / 1e9);
}

/* ---- calls ---- */

static void answer(struct pv_vm *vm, struct pv_thread *t)
{
    int64_t rc = pv_call_answer(vm, t);

    if (rc == PV_CALL_DONE)
        return; /* t may be gone */
    if (rc == PV_CALL_WAIT) {
        t->state = PV_THREAD_WAIT;
        t->again = true;
        t->seen = pv_files_changed(vm->files);
        return;
    }
    t->r.general.rax = (uint64_t)rc;
    t->state = PV_THREAD_READY;
    t->again = false;
    t->until_ns = 0;
    t->progress = 0;
}

static void begin_call(struct pv_vm *vm, struct pv_thread *t)
{
    const struct kvm_regs *g = &t->r.general;

    t->nr = g->rax;
    t->args[0] = g->rdi;
    t->args[1] = g->rsi;
    t->args[2] = g->rdx;
    t->args[3] = g->r10;
    t->args[4] = g->r8;
    t->args[5] = g->r9;
    t->again = false;
    t->until_ns = 0;
    t->progress = 0;
    vm->stats.calls++;
    pv_shim_sync(vm);
    if (vm->ended)
        return; /* what the shim had collected was the end */
    if (vm->limits.calls && vm->stats.calls > vm->limits.calls)
        pv_vm_finish_run(vm, PV_VM_CALLS, 0, "more than %llu system calls",
                         (unsigned long long)vm->limits.calls);
    else
        answer(vm, t);
}

/* ---- waiting ---- */

static void wake_futex(struct pv_thread *t, int64_t result)
{
    t->state = PV_THREAD_READY;
    t->until_ns = 0;
    t->r.general.rax = (uint64_t)result;
}

/* Lets a waiting thread go on if it can. */
static void try_wake(struct pv_vm *vm, struct pv_thread *t, uint64_t now)
{
    bool late = t->until_ns && now >= t->until_ns;

    if (t->state == PV_THREAD_FUTEX && late) {
        wake_futex(t, -ETIMEDOUT);
    } else if (t->state == PV_THREAD_WAIT && (late || t->seen != pv_files_changed(vm->files))) {
        answer(vm, t);
    }
}

static void wake_waiting(struct pv_vm *vm, uint64_t now)
{
    for (unsigned i = 0; i < vm->process.n_threads && !vm->ended && !vm->reached_read; i++)
        try_wake(vm, vm->process.threads[i], now);
}

static uint64_t next_event(struct pv_vm *vm, uint64_t now)
{
    uint64_t at = sooner(vm->deadline_ns, pv_timers_next(&vm->process));
    int64_t timer = pv_files_next_timer_ns(vm->files);

    for (unsigned i = 0; i < vm->process.n_threads; i++)
        if (vm->process.threads[i]->state != PV_THREAD_READY)
            at = sooner(at, vm->process.threads[i]->until_ns);
    return timer >= 0 ? sooner(at, now + (uint64_t)timer + 1) : at;
}

/* Every waiting call is made again. */
static void disturb(struct pv_vm *vm)
{
    for (unsigned i = 0; i < vm->process.n_threads; i++)
        vm->process.threads[i]->seen = pv_files_changed(vm->files) - 1;
}

/* Sleeps until something can have happened. */
static void idle(struct pv_vm *vm)
{
    struct pollfd fds[HOST_FDS_MAX];
    size_t n = pv_files_host_fds(vm->files, fds, HOST_FDS_MAX);
    uint64_t now = pv_now_mono_ns();
    uint64_t at = next_event(vm, now);
    struct timespec wait = {.tv_nsec = (long)(IDLE_MS * PV_NS_PER_MS)};

    if (n > HOST_FDS_MAX)
        n = HOST_FDS_MAX; /* the others are asked every IDLE_MS */
    if (at == 0 && n == 0 && !vm->input_waits) {
        pv_vm_finish_run(vm, PV_VM_STUCK, 0, "every thread waits for another one");
        return;
    }
    if (at > now && at - now < IDLE_MS * PV_NS_PER_MS)
        wait.tv_nsec = (long)(at - now);
    else if (at && at <= now)
        wait.tv_nsec = 0;
    if (ppoll(fds, (nfds_t)n, &wait, NULL) > 0 || n || vm->input_waits ||
        pv_files_next_timer_ns(vm->files) == 0)
        disturb(vm);
    vm->input_waits = false;
}

/* ---- running ---- */

/* Puts the thread's extended registers into the vCPU. */
static int load(struct pv_vm *vm, struct pv_thread *t, struct pv_err *err)
{
    if (vm->loaded == t)
        return 0;
    if (vm->loaded)
        PV_TRY(pv_machine_xsave_get(&vm->machine, vm->loaded->xsave, err));
    PV_TRY(pv_machine_xsave_set(&vm->machine, t->xsave, err));
    vm->loaded = t;
    vm->machine.started = false; /* the other thread's segments are not this one's */
    pv_shim_thread(vm, t->tid);
    vm->stats.switches++;
    return 0;
}

static bool others_want(const struct pv_vm *vm)
{
    return vm->process.n_threads > 1;
}

static void set_alarm(struct pv_vm *vm, uint64_t now)
{
    uint64_t at = sooner(vm->deadline_ns, pv_timers_next(&vm->process));

    if (others_want(vm))
        at = sooner(at, vm->slice_ns);
    if (vm->limits.cpu_ns) {
        uint64_t used = pv_cpu_now_ns() - vm->cpu_start_ns;
        at = sooner(at, now + (used < vm->limits.cpu_ns ? vm->limits.cpu_ns - used : 1));
    }
    if (pv_share_holds(vm))
        at = sooner(at, now + pv_share_left_ns(vm) + 1);
    pv_alarm_set(&vm->alarm, at);
}

static void on_signal(struct pv_vm *vm)
{
    uint64_t now = pv_now_mono_ns();

    pv_alarm_rang(&vm->alarm);
    check_time(vm, now);
    pv_timers_check(vm, now);
}

/* Enters the guest. One that was interrupted within the shim goes on until it is out of it: only
 * there are its registers the program's. A guest that stays there all the same is treated as is. */
static int enter(struct pv_vm *vm, struct pv_thread *t, struct pv_exit *e, struct pv_err *err)
{
    enum { ATTEMPTS = 8, ATTEMPT_NS = 50000 };

    for (int i = 0; i < ATTEMPTS; i++) {
        PV_TRY(pv_machine_enter(&vm->machine, &t->r, e, err));
        if (e->kind != PV_EXIT_SIGNAL || !pv_shim_holds(t->r.general.rip))
            break;
        pv_alarm_rang(&vm->alarm);
        pv_alarm_set(&vm->alarm, pv_now_mono_ns() + ATTEMPT_NS);
    }
    return 0;
}

/* Lets the thread run until it leaves, and sees to what it left for. */
static int run_thread(struct pv_vm *vm, struct pv_thread *t, struct pv_err *err)
{
    struct pv_exit e;
    bool in_shim = pv_shim_holds(t->r.general.rip); /* its save area is this thread's: no handler */

    if (!in_shim && ((vm->process.pending | t->pending) || t->restore_mask)) {
        (void)pv_signal_deliver(vm, t);
        if (vm->ended)
            return 0;
    }
    PV_TRY(load(vm, t, err));
    PV_TRY(pv_memory_forget(&vm->memory, &vm->memory.now, err));
    PV_TRY(enter(vm, t, &e, err));
    if (e.kind == PV_EXIT_CALL)
        begin_call(vm, t);
    else if (e.kind == PV_EXIT_FAULT)
        pv_fault(vm, t, &e);
    else if (e.kind == PV_EXIT_SIGNAL)
        on_signal(vm);
    else
        pv_vm_finish_run(vm, PV_VM_BROKEN, 0, "%s", e.reason);
    return 0;
}

/* The next thread that can run, after the present one; NULL when none can. */
static struct pv_thread *pick(struct pv_vm *vm)
{
    struct pv_process *p = &vm->process;

    for (unsigned i = 1; i <= p->n_threads; i++) {
        unsigned k = (p->current + i) % p->n_threads;

        if (p->threads[k]->state == PV_THREAD_READY) {
            p->current = k;
            return p->threads[k];
        }
    }
    return NULL;
}

static bool stops(const struct pv_vm *vm)
{
    return vm->ended || vm->reached_read;
}

/* Runs the thread until it waits, its slice is over or the run ends. */
static int run_slice(struct pv_vm *vm, struct pv_thread *t, struct pv_err *err)
{
    uint64_t now = pv_now_mono_ns();
    int tid = t->tid;

    vm->slice_ns = now + SLICE_NS;
    for (;;) {
        if (pv_share_holds(vm)) {
            now = pv_share_wait(vm, pv_now_mono_ns());
            check_time(vm, now);
            if (stops(vm))
                return 0;
        }
        set_alarm(vm, now);
        PV_TRY(run_thread(vm, t, err));
        if (stops(vm) || pv_threads_current(vm) == NULL || pv_threads_current(vm)->tid != tid ||
            t->state != PV_THREAD_READY)
            return 0;
        if (!others_want(vm))
            continue;
        now = pv_now_mono_ns();
        if (now >= vm->slice_ns && !pv_shim_holds(t->r.general.rip))
            return 0;
    }
}

static int run_all(struct pv_vm *vm, struct pv_err *err)
{
    while (!stops(vm)) {
        uint64_t now = pv_now_mono_ns();

        check_time(vm, now);
        pv_timers_check(vm, now);
        wake_waiting(vm, now);
        if (stops(vm))
            break;
        struct pv_thread *t = pick(vm);
        if (t)
            PV_TRY(run_slice(vm, t, err));
        else
            idle(vm);
    }
    return 0;
}

int pv_threads_run(struct pv_vm *vm, struct pv_err *err)
{
    pv_alarm_target(vm->machine.run);
    int rc = run_all(vm, err);
    pv_alarm_target(NULL);
    pv_alarm_set(&vm->alarm, 0);
    return rc;
}
