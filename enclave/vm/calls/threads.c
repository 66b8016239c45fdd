#include "thread/threads.h"
#include "calls/theme.h"
#include "pv/clock.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <sched.h>
#include <string.h>

int64_t call_exit_group(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    pv_vm_finish_run(vm, PV_VM_EXITED, (int)(a[0] & 0xff), "%s", "");
    return PV_CALL_DONE;
}

int64_t call_exit(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    if (vm->process.n_threads == 1)
        return call_exit_group(vm, t, a);
    pv_futex_thread_ends(vm, t);
    pv_threads_remove(vm, t);
    return PV_CALL_DONE;
}

int64_t call_fork(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)a;
    vm->wanted_process = true;
    (void)pv_call_in_vain(vm, t->nr);
    pv_vm_tell(vm, PV_VM_EVENT_DENIED, pv_vm_call_name(t->nr), "", -EAGAIN);
    return -EAGAIN; /* as at a limit of processes */
}

/* The child's registers: the parent's, with a stack and thread pointer of its own. */
static int fill_child(struct pv_vm *vm, struct pv_thread *child, struct pv_thread *t,
                      const uint64_t *a)
{
    child->r = t->r;
    child->r.general.rax = 0;
    if (a[1])
        child->r.general.rsp = a[1];
    if (a[0] & CLONE_SETTLS)
        child->r.fs_base = a[4];
    child->mask = t->mask;
    memcpy(child->name, t->name, sizeof child->name);
    if (a[0] & CLONE_CHILD_CLEARTID)
        child->clear_tid = a[3];
    if (!vm->has_machine)
        return 0;
    return pv_machine_xsave_get(&vm->machine, child->xsave, NULL);
}

int64_t call_clone(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    const uint64_t all = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD;

    if ((a[0] & all) != all)
        return call_fork(vm, t, a);
    if ((a[0] & CLONE_SETTLS) && a[4] >= PV_USER_MAX)
        return -EPERM;
    struct pv_thread *child = pv_threads_add(vm);
    if (!child)
        return -errno;
    uint32_t tid = (uint32_t)child->tid;
    if (fill_child(vm, child, t, a) < 0 ||
        ((a[0] & CLONE_PARENT_SETTID) && pv_copy_out(&vm->space, a[2], &tid, sizeof tid) < 0) ||
        ((a[0] & CLONE_CHILD_SETTID) && pv_copy_out(&vm->space, a[3], &tid, sizeof tid) < 0)) {
        pv_threads_remove(vm, child);
        return -EFAULT;
    }
    return tid;
}

static int64_t futex_wait(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a, uint32_t bits)
{
    bool absolute = ((int)a[1] & FUTEX_CMD_MASK) == FUTEX_WAIT_BITSET;
    clockid_t clock = (int)a[1] & FUTEX_CLOCK_REALTIME ? CLOCK_REALTIME : CLOCK_MONOTONIC;
    uint64_t ns = 0;
    uint32_t word;

    if (a[0] % sizeof word || bits == 0)
        return -EINVAL;
    if (a[3])
        PV_TRY(pv_call_timespec(vm, a[3], &ns));
    if (pv_copy_in(&vm->space, &word, a[0], sizeof word) < 0)
        return -EFAULT;
    if (word != (uint32_t)a[2])
        return -EAGAIN;
    if (a[3] && absolute) {
        uint64_t now = clock == CLOCK_REALTIME ? pv_now_real_ns() : pv_now_mono_ns();
        ns = ns > now ? ns - now : 0;
    }
    t->until_ns = a[3] ? pv_call_until(ns) : 0;
    t->state = PV_THREAD_FUTEX;
    t->futex = a[0];
    t->futex_bits = bits;
    return PV_CALL_DONE;
}

static int64_t futex_requeue(struct pv_vm *vm, const uint64_t *a, bool compare)
{
    uint32_t word;

    if (compare) {
        if (pv_copy_in(&vm->space, &word, a[0], sizeof word) < 0)
            return -EFAULT;
        if (word != (uint32_t)a[5])
            return -EAGAIN;
    }
    int woken = pv_futex_wake(vm, a[0], (uint32_t)a[2], FUTEX_BITSET_MATCH_ANY);
    return woken + pv_futex_requeue(vm, a[0], (uint32_t)a[3], a[4]);
}

/* FUTEX_WAKE_OP: changes a second word and wakes its waiters if the old value compares (futex(2)).
 */
static int64_t futex_wake_op(struct pv_vm *vm, const uint64_t *a)
{
    uint32_t code = (uint32_t)a[5];
    uint32_t old;
    int32_t arg = (int32_t)(code << 8) >> 20;
    int32_t cmp = (int32_t)(code << 20) >> 20;
    bool holds;

    if (a[4] % sizeof old || pv_copy_in(&vm->space, &old, a[4], sizeof old) < 0)
        return -EFAULT;
    if (code >> 31)
        arg = (int32_t)(1u << (arg & 31));
    uint32_t u = (uint32_t)arg;
    const uint32_t results[] = {u, old + u, old | u, old & ~u, old ^ u};
    uint32_t op = code >> 28 & 7;
    if (op >= sizeof results / sizeof *results)
        return -ENOSYS;
    if (pv_copy_out(&vm->space, a[4], &results[op], sizeof old) < 0)
        return -EFAULT;
    int32_t was = (int32_t)old;
    const bool outcomes[] = {was == cmp, was != cmp, was<cmp, was <= cmp, was> cmp, was >= cmp};
    uint32_t test = code >> 24 & 15;
    if (test >= sizeof outcomes / sizeof *outcomes)
        return -ENOSYS;
    holds = outcomes[test];
    int woken = pv_futex_wake(vm, a[0], (uint32_t)a[2], FUTEX_BITSET_MATCH_ANY);
    return holds ? woken + pv_futex_wake(vm, a[4], (uint32_t)a[3], FUTEX_BITSET_MATCH_ANY) : woken;
}

int64_t call_futex(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    switch ((int)a[1] & FUTEX_CMD_MASK) {
    case FUTEX_WAIT:
        return futex_wait(vm, t, a, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAIT_BITSET:
        return futex_wait(vm, t, a, (uint32_t)a[5]);
    case FUTEX_WAKE:
        return a[0] % 4 ? -EINVAL : pv_futex_wake(vm, a[0], (uint32_t)a[2], FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAKE_BITSET:
        if (a[0] % 4 || (uint32_t)a[5] == 0)
            return -EINVAL;
        return pv_futex_wake(vm, a[0], (uint32_t)a[2], (uint32_t)a[5]);
    case FUTEX_REQUEUE:
        return futex_requeue(vm, a, false);
    case FUTEX_CMP_REQUEUE:
        return futex_requeue(vm, a, true);
    case FUTEX_WAKE_OP:
        return futex_wake_op(vm, a);
    default:
        return -ENOSYS;
    }
}

int64_t call_set_tid_address(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)vm;
    t->clear_tid = a[0];
    return t->tid;
}

int64_t call_set_robust_list(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)vm;
    if (a[1] != sizeof(struct robust_list_head))
        return -EINVAL;
    t->robust = a[0];
    t->robust_len = a[1];
    return 0;
}

int64_t call_get_robust_list(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct pv_thread *of = (int)a[0] ? pv_threads_find(vm, (int)a[0]) : t;

    if (!of)
        return -ESRCH;
    int64_t rc = pv_call_out(vm, 0, a[1], &of->robust, sizeof of->robust);
    return pv_call_out(vm, rc, a[2], &of->robust_len, sizeof of->robust_len);
}

int64_t call_sched_yield(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    (void)a;
    vm->slice_ns = 1; /* its slice is over */
    return 0;
}

int64_t call_sched_getaffinity(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    const uint64_t one = 1;

    (void)t;
    if (a[1] < sizeof one || a[1] % sizeof one)
        return -EINVAL;
    return pv_call_out(vm, sizeof one, a[2], &one, sizeof one);
}

int64_t call_sched_getparam(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    const int priority = 0;

    (void)t;
    return pv_call_out(vm, 0, a[1], &priority, sizeof priority);
}

int64_t call_sched_get_priority(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)vm;
    (void)t;
    return (int)a[0] == SCHED_OTHER || (int)a[0] == SCHED_BATCH || (int)a[0] == SCHED_IDLE
               ? 0
               : -EINVAL;
}

int64_t call_getcpu(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    const uint32_t zero = 0;

    (void)t;
    if (a[0] && pv_copy_out(&vm->space, a[0], &zero, sizeof zero) < 0)
        return -EFAULT;
    return a[1] ? pv_call_out(vm, 0, a[1], &zero, sizeof zero) : 0;
}

/* One processor runs every thread, and a switch between them is a full barrier. */
int64_t call_membarrier(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    const int known = MEMBARRIER_CMD_GLOBAL | MEMBARRIER_CMD_PRIVATE_EXPEDITED |
                      MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED;

    (void)vm;
    (void)t;
    if (a[1])
        return -EINVAL;
    if ((int)a[0] == MEMBARRIER_CMD_QUERY)
        return known;
    return (int)a[0] & known ? 0 : -EINVAL;
}
