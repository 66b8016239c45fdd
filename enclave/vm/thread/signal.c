#include "thread/threads.h"

#include <errno.h>
#include <string.h>
#include <sys/syscall.h>

#define SA_RESTART_BIT 0x10000000ull
#define SA_NODEFER_BIT 0x40000000ull
#define SA_RESETHAND_BIT 0x80000000ull

static uint64_t handler_of(const struct pv_vm *vm, int signal)
{
    return vm->process.actions[signal - 1].handler;
}

/* What happens without a handler (signal(7)): nothing, or the end. Nothing stops here. */
static bool ignored_by_default(int signal)
{
    switch (signal) {
    case SIGCHLD:
    case SIGURG:
    case SIGWINCH:
    case SIGCONT:
    case SIGSTOP:
    case SIGTSTP:
    case SIGTTIN:
    case SIGTTOU:
        return true;
    default:
        return false;
    }
}

static bool ignored(const struct pv_vm *vm, int signal)
{
    uint64_t handler = handler_of(vm, signal);

    return handler == (uint64_t)(uintptr_t)SIG_IGN ||
           (handler == (uint64_t)(uintptr_t)SIG_DFL && ignored_by_default(signal));
}

bool pv_signal_interrupts(const struct pv_vm *vm, const struct pv_thread *t)
{
    uint64_t due = (vm->process.pending | t->pending) & ~t->mask;

    for (int n = 1; due && n <= PV_SIGNALS; n++)
        if ((due & PV_SIGNAL_BIT(n)) && !ignored(vm, n))
            return true;
    return false;
}

void pv_signal_send(struct pv_vm *vm, struct pv_thread *t, int signal,
                    const struct pv_signal_info *info)
{
    uint64_t bit = PV_SIGNAL_BIT(signal);
    bool blocked = t && (t->mask & bit);

    if (signal != SIGKILL && !blocked && ignored(vm, signal))
        return;
    if (t) {
        t->pending |= bit;
        t->info[signal - 1] = *info;
    } else {
        vm->process.pending |= bit;
        vm->process.info[signal - 1] = *info;
    }
    for (unsigned i = 0; i < vm->process.n_threads; i++) {
        struct pv_thread *w = vm->process.threads[i];

        if (w->state == PV_THREAD_WAIT && w->nr == SYS_rt_sigtimedwait)
            w->seen = pv_files_changed(vm->files) - 1; /* it may be for this one: made again */
        if ((!t || w == t) && w->state != PV_THREAD_READY && pv_signal_interrupts(vm, w)) {
            pv_signal_break_wait(vm, w);
            return;
        }
    }
}

/* Calls that begin again behind a handler with SA_RESTART (signal(7)). */
static bool restarts(uint64_t nr)
{
    return nr == SYS_read || nr == SYS_readv || nr == SYS_write || nr == SYS_writev ||
           nr == SYS_futex || nr == SYS_flock || nr == SYS_fcntl || nr == SYS_recvfrom ||
           nr == SYS_recvmsg || nr == SYS_sendto || nr == SYS_sendmsg || nr == SYS_connect;
}

static int first_due(const struct pv_vm *vm, const struct pv_thread *t)
{
    uint64_t due = (vm->process.pending | t->pending) & ~t->mask;

    for (int n = 1; due && n <= PV_SIGNALS; n++)
        if ((due & PV_SIGNAL_BIT(n)) && !ignored(vm, n))
            return n;
    return 0;
}

void pv_signal_break_wait(struct pv_vm *vm, struct pv_thread *t)
{
    int n = first_due(vm, t);
    bool again = n && (vm->process.actions[n - 1].flags & SA_RESTART_BIT) && restarts(t->nr);

    t->state = PV_THREAD_READY;
    t->again = false;
    t->until_ns = 0;
    if (t->progress) {
        t->r.general.rax = t->progress;
    } else if (again) {
        t->r.general.rip -= 2; /* the length of syscall */
        t->r.general.rax = t->nr;
    } else {
        t->r.general.rax = (uint64_t)-EINTR;
    }
    t->progress = 0;
}

int pv_signal_take(struct pv_vm *vm, struct pv_thread *t, uint64_t set, struct pv_signal_info *ret)
{
    for (int n = 1; n <= PV_SIGNALS; n++) {
        uint64_t bit = PV_SIGNAL_BIT(n);

        if (!(set & bit))
            continue;
        if (t->pending & bit) {
            t->pending &= ~bit;
            *ret = t->info[n - 1];
            return n;
        }
        if (vm->process.pending & bit) {
            vm->process.pending &= ~bit;
            *ret = vm->process.info[n - 1];
            return n;
        }
    }
    return 0;
}

/* siginfo_t's union as sigaction(2) tells: of a fault, of a timer, or who sent it; then the value.
 */
void pv_signal_words(const struct pv_vm *vm, const struct pv_signal_info *info, uint64_t ret[2])
{
    uint64_t high = info->code == SI_TIMER ? (info->address < INT32_MAX ? info->address : INT32_MAX)
                                           : vm->process.uid;

    ret[0] = info->code > 0 ? info->address : (uint32_t)info->pid | high << 32;
    ret[1] = info->code > 0 ? 0 : info->value;
}

const char *pv_signal_name(int signal)
{
    static _Thread_local char text[16];
    const char *name = signal > 0 && signal < NSIG ? sigabbrev_np(signal) : NULL;

    if (name)
        (void)snprintf(text, sizeof text, "SIG%s", name);
    else
        (void)snprintf(text, sizeof text, "signal %d", signal);
    return text;
}

static void die(struct pv_vm *vm, int signal, const char *text)
{
    pv_vm_finish_run(vm, PV_VM_SIGNALED, signal, "killed by %s%s%s", pv_signal_name(signal),
                     *text ? ": " : "", text);
}

/* Runs the handler; false: the program is dead. */
static bool act(struct pv_vm *vm, struct pv_thread *t, int signal,
                const struct pv_signal_info *info, const char *text)
{
    struct pv_signal_action *a = &vm->process.actions[signal - 1];
    struct pv_signal_action now = *a;

    if (now.handler == (uint64_t)(uintptr_t)SIG_DFL ||
        now.handler == (uint64_t)(uintptr_t)SIG_IGN || signal == SIGKILL) {
        die(vm, signal, text);
        return false;
    }
    if (now.flags & SA_RESETHAND_BIT)
        a->handler = (uint64_t)(uintptr_t)SIG_DFL;
    if (pv_frame_push(vm, t, signal, &now, info) < 0) {
        die(vm, SIGSEGV, "no room on the stack for a signal handler");
        return false;
    }
    t->mask |= now.mask;
    if (!(now.flags & SA_NODEFER_BIT))
        t->mask |= PV_SIGNAL_BIT(signal);
    t->mask &= ~(PV_SIGNAL_BIT(SIGKILL) | PV_SIGNAL_BIT(SIGSTOP));
    return true;
}

void pv_signal_force(struct pv_vm *vm, struct pv_thread *t, int signal,
                     const struct pv_signal_info *info, const char *text)
{
    uint64_t handler = handler_of(vm, signal);

    if ((t->mask & PV_SIGNAL_BIT(signal)) || handler == (uint64_t)(uintptr_t)SIG_IGN)
        vm->process.actions[signal - 1].handler = (uint64_t)(uintptr_t)SIG_DFL;
    (void)act(vm, t, signal, info, text);
}

bool pv_signal_deliver(struct pv_vm *vm, struct pv_thread *t)
{
    struct pv_signal_info info;
    bool acted = false;
    uint64_t due;

    while (!vm->ended && (due = (vm->process.pending | t->pending) & ~t->mask) != 0) {
        int n = pv_signal_take(vm, t, due, &info);

        if (ignored(vm, n) && n != SIGKILL)
            continue;
        acted = true;
        if (!act(vm, t, n, &info, ""))
            return true;
    }
    if (t->restore_mask) {
        t->restore_mask = false;
        t->mask = t->saved_mask;
    }
    return acted;
}
