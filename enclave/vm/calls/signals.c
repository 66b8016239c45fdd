#include "calls/theme.h"
#include "pv/clock.h"
#include "thread/threads.h"

#include <errno.h>
#include <string.h>

enum { ALT_DISABLE = 2, ALT_ONSTACK = 1, ALT_MIN = 2048 };
#define UNBLOCKABLE (PV_SIGNAL_BIT(SIGKILL) | PV_SIGNAL_BIT(SIGSTOP))

static bool is_signal(uint64_t n)
{
    return (int)n >= 1 && (int)n <= PV_SIGNALS;
}

int64_t call_rt_sigaction(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct pv_signal_action new;

    (void)t;
    if (a[3] != sizeof new.mask || !is_signal(a[0]))
        return -EINVAL;
    struct pv_signal_action *action = &vm->process.actions[(int)a[0] - 1];
    struct pv_signal_action old = *action;
    if (a[1]) {
        if ((int)a[0] == SIGKILL || (int)a[0] == SIGSTOP)
            return -EINVAL;
        if (pv_copy_in(&vm->space, &new, a[1], sizeof new) < 0)
            return -EFAULT;
        *action = new;
        action->mask &= ~UNBLOCKABLE;
    }
    return a[2] ? pv_call_out(vm, 0, a[2], &old, sizeof old) : 0;
}

int64_t call_rt_sigprocmask(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    uint64_t old = t->mask;
    uint64_t set;

    if (a[3] != sizeof set)
        return -EINVAL;
    if (a[1]) {
        if (pv_copy_in(&vm->space, &set, a[1], sizeof set) < 0)
            return -EFAULT;
        if ((int)a[0] == SIG_BLOCK)
            t->mask |= set;
        else if ((int)a[0] == SIG_UNBLOCK)
            t->mask &= ~set;
        else if ((int)a[0] == SIG_SETMASK)
            t->mask = set;
        else
            return -EINVAL;
        t->mask &= ~UNBLOCKABLE;
    }
    return a[2] ? pv_call_out(vm, 0, a[2], &old, sizeof old) : 0;
}

int64_t call_rt_sigreturn(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    const struct pv_signal_info info = {.code = SI_KERNEL};

    (void)a;
    if (pv_frame_pop(vm, t) < 0)
        pv_signal_force(vm, t, SIGSEGV, &info, "a signal frame that makes no sense");
    return PV_CALL_DONE;
}

int64_t call_rt_sigpending(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    uint64_t pending = (vm->process.pending | t->pending) & t->mask;

    if (a[1] > sizeof pending)
        return -EINVAL;
    return pv_call_out(vm, 0, a[0], &pending, a[1]);
}

int64_t call_rt_sigsuspend(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    uint64_t mask;

    if (a[1] != sizeof mask)
        return -EINVAL;
    if (t->again)
        return PV_CALL_WAIT;
    if (pv_copy_in(&vm->space, &mask, a[0], sizeof mask) < 0)
        return -EFAULT;
    t->saved_mask = t->mask;
    t->restore_mask = true;
    t->mask = mask & ~UNBLOCKABLE;
    return pv_signal_interrupts(vm, t) ? -EINTR : PV_CALL_WAIT;
}

int64_t call_pause(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)a;
    return pv_signal_interrupts(vm, t) ? -EINTR : PV_CALL_WAIT;
}

int64_t call_rt_sigtimedwait(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct pv_signal_info info;
    uint64_t set;
    uint64_t ns = 0;

    if (a[3] != sizeof set)
        return -EINVAL;
    if (pv_copy_in(&vm->space, &set, a[0], sizeof set) < 0)
        return -EFAULT;
    int n = pv_signal_take(vm, t, set & ~UNBLOCKABLE, &info);
    if (n) {
        int32_t out[32] = {n, 0, info.code};
        uint64_t words[2];
        pv_signal_words(vm, &info, words);
        memcpy(out + 4, words, sizeof words);
        return a[1] ? pv_call_out(vm, n, a[1], out, sizeof out) : n;
    }
    if (a[2])
        PV_TRY(pv_call_timespec(vm, a[2], &ns));
    if (!t->again)
        t->until_ns = a[2] ? pv_call_until(ns) : 0;
    if (t->until_ns && pv_now_mono_ns() >= t->until_ns)
        return -EAGAIN;
    return PV_CALL_WAIT;
}

int64_t call_sigaltstack(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct {
        uint64_t at;
        int32_t flags, pad;
        uint64_t size;
    } new, old = {.at = t->alt_stack, .size = t->alt_size};
    uint64_t sp = t->r.general.rsp;
    bool on = t->alt_size && sp > t->alt_stack && sp - t->alt_stack <= t->alt_size;

    old.flags = !t->alt_size ? ALT_DISABLE : on ? ALT_ONSTACK : 0;
    if (a[0]) {
        if (pv_copy_in(&vm->space, &new, a[0], sizeof new) < 0)
            return -EFAULT;
        if (on)
            return -EPERM;
        if (new.flags & ~(ALT_DISABLE | ALT_ONSTACK | (int32_t)0x80000000))
            return -EINVAL;
        if (new.flags & ALT_DISABLE)
            new.at = new.size = 0;
        else if (new.size < ALT_MIN)
            return -ENOMEM;
        t->alt_stack = new.at;
        t->alt_size = new.size;
    }
    return a[1] ? pv_call_out(vm, 0, a[1], &old, sizeof old) : 0;
}

/* Sends to a thread (NULL: to the process). */
static int64_t send_signal(struct pv_vm *vm, struct pv_thread *to, uint64_t signal, int code)
{
    const struct pv_signal_info info = {.code = code, .pid = PV_PID};

    if ((int)signal == 0)
        return 0;
    if (!is_signal(signal))
        return -EINVAL;
    pv_signal_send(vm, to, (int)signal, &info);
    return 0;
}

int64_t call_kill(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    int pid = (int)a[0];

    (void)t;
    if ((int)a[1] != 0 && !is_signal(a[1]))
        return -EINVAL;
    if (pid != PV_PID && pid != 0)
        return -ESRCH; /* also -1, which means all but the caller: there is nobody */
    return send_signal(vm, NULL, a[1], SI_USER);
}

int64_t call_tgkill(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct pv_thread *to = pv_threads_find(vm, (int)a[1]);

    (void)t;
    if ((int)a[0] <= 0 || (int)a[1] <= 0)
        return -EINVAL;
    if ((int)a[0] != PV_PID || !to)
        return -ESRCH;
    return send_signal(vm, to, a[2], SI_TKILL);
}

int64_t call_tkill(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return call_tgkill(vm, t, (const uint64_t[]){PV_PID, a[0], a[1]});
}
