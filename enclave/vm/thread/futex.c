#include "thread/threads.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>

int pv_futex_wake(struct pv_vm *vm, uint64_t at, unsigned n, uint32_t bits)
{
    struct pv_process *p = &vm->process;
    int woken = 0;

    for (unsigned i = 1; i <= p->n_threads && (unsigned)woken < n; i++) {
        struct pv_thread *t = p->threads[(p->current + i) % p->n_threads];

        if (t->state != PV_THREAD_FUTEX || t->futex != at || !(t->futex_bits & bits))
            continue;
        t->state = PV_THREAD_READY;
        t->r.general.rax = 0;
        woken++;
    }
    return woken;
}

int pv_futex_requeue(struct pv_vm *vm, uint64_t at, unsigned n, uint64_t to)
{
    int moved = 0;

    for (unsigned i = 0; i < vm->process.n_threads && (unsigned)moved < n; i++) {
        struct pv_thread *t = vm->process.threads[i];

        if (t->state != PV_THREAD_FUTEX || t->futex != at)
            continue;
        t->futex = to;
        moved++;
    }
    return moved;
}

/* One lock of the robust list: if the thread held it, its owner is dead (futex(2), "robust"). */
static void release_lock(struct pv_vm *vm, const struct pv_thread *t, uint64_t at)
{
    uint32_t word;

    if (at % sizeof word || pv_copy_in(&vm->space, &word, at, sizeof word) < 0 ||
        (word & FUTEX_TID_MASK) != (uint32_t)t->tid)
        return;
    bool waiters = word & FUTEX_WAITERS;
    word = (word & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
    if (pv_copy_out(&vm->space, at, &word, sizeof word) == 0 && waiters)
        (void)pv_futex_wake(vm, at, 1, FUTEX_BITSET_MATCH_ANY);
}

static void release_locks(struct pv_vm *vm, const struct pv_thread *t)
{
    enum { LOCKS_MAX = 2048 }; /* as in Linux: the list is the program's and may be a ring */
    uint64_t head[3];          /* first entry, offset of the lock word, pending entry */
    uint64_t at;

    if (!t->robust || pv_copy_in(&vm->space, head, t->robust, sizeof head) < 0)
        return;
    at = head[0];
    for (unsigned i = 0; i < LOCKS_MAX && at != t->robust; i++) {
        uint64_t next;

        if (pv_copy_in(&vm->space, &next, at & ~1ull, sizeof next) < 0)
            return;
        if (at != head[2])
            release_lock(vm, t, (at & ~1ull) + head[1]);
        at = next;
    }
    if (head[2])
        release_lock(vm, t, (head[2] & ~1ull) + head[1]);
}

void pv_futex_thread_ends(struct pv_vm *vm, struct pv_thread *t)
{
    static const uint32_t zero;

    release_locks(vm, t);
    if (t->clear_tid && pv_copy_out(&vm->space, t->clear_tid, &zero, sizeof zero) == 0)
        (void)pv_futex_wake(vm, t->clear_tid, 1, FUTEX_BITSET_MATCH_ANY);
}
