/* poll, select, epoll: asked of the files at once; when nothing is ready the thread waits. */
#include "calls/theme.h"
#include "pv/clock.h"
#include "pv/own.h"
#include "thread/threads.h"

#include <errno.h>
#include <string.h>

enum { FDS_MAX = 4096, EVENTS_MAX = 1024, SET_BYTES = FD_SETSIZE / 8 };

/* What a call returns that found rc things ready and may wait for timeout_ns (negative: for ever).
 */
static int64_t or_wait(struct pv_thread *t, int64_t rc, int64_t timeout_ns)
{
    if (rc != 0 || timeout_ns == 0)
        return rc;
    if (!t->again)
        t->until_ns = timeout_ns < 0 ? 0 : pv_call_until((uint64_t)timeout_ns);
    else if (t->until_ns && pv_now_mono_ns() >= t->until_ns)
        return 0;
    return PV_CALL_WAIT;
}

/* The mask of ppoll and its kin holds until the call is over. -EINTR: it lets a signal in. */
static int enter_mask(struct pv_vm *vm, struct pv_thread *t, uint64_t at, uint64_t size)
{
    uint64_t mask;

    if (!at || t->again)
        return 0;
    if (size != sizeof mask)
        return -EINVAL;
    if (pv_copy_in(&vm->space, &mask, at, sizeof mask) < 0)
        return -EFAULT;
    t->saved_mask = t->mask;
    t->restore_mask = true;
    t->mask = mask & ~(PV_SIGNAL_BIT(SIGKILL) | PV_SIGNAL_BIT(SIGSTOP));
    return pv_signal_interrupts(vm, t) ? -EINTR : 0;
}

/* A null timeout means for ever: -1. */
static int fetch_timeout(struct pv_vm *vm, uint64_t at, int64_t *ret_ns)
{
    uint64_t ns;

    *ret_ns = -1;
    if (!at)
        return 0;
    PV_TRY(pv_call_timespec(vm, at, &ns));
    *ret_ns = (int64_t)ns;
    return 0;
}

static int64_t ms(int timeout)
{
    return timeout < 0 ? -1 : (int64_t)timeout * (int64_t)PV_NS_PER_MS;
}

static int64_t do_poll(struct pv_vm *vm, struct pv_thread *t, uint64_t at, uint64_t n,
                       int64_t timeout_ns)
{
    pv_autofree struct pollfd *fds = NULL;

    if (n > FDS_MAX || n > vm->process.descriptor_limit)
        return -EINVAL;
    fds = calloc(n + 1, sizeof *fds);
    if (!fds)
        return -ENOMEM;
    if (pv_copy_in(&vm->space, fds, at, n * sizeof *fds) < 0)
        return -EFAULT;
    int64_t rc = or_wait(t, pv_files_poll(vm->files, fds, n), timeout_ns);
    return rc == PV_CALL_WAIT ? rc : pv_call_out(vm, rc, at, fds, n * sizeof *fds);
}

int64_t call_poll(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return do_poll(vm, t, a[0], a[1], ms((int)a[2]));
}

int64_t call_ppoll(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    int64_t timeout;

    PV_TRY(fetch_timeout(vm, a[2], &timeout));
    PV_TRY(enter_mask(vm, t, a[3], a[4]));
    return do_poll(vm, t, a[0], a[1], timeout);
}

static int64_t do_select(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a,
                         int64_t timeout_ns)
{
    fd_set sets[3];
    fd_set *p[3] = {NULL, NULL, NULL};
    int n = (int)a[0];

    if (n < 0)
        return -EINVAL;
    if (n > FD_SETSIZE)
        n = FD_SETSIZE;
    uint64_t bytes = (uint64_t)(n + 63) / 64 * 8;
    for (int i = 0; i < 3; i++) {
        FD_ZERO(&sets[i]);
        if (!a[1 + i])
            continue;
        p[i] = &sets[i];
        if (pv_copy_in(&vm->space, p[i], a[1 + i], bytes) < 0)
            return -EFAULT;
    }
    int64_t rc = or_wait(t, pv_files_select(vm->files, n, p[0], p[1], p[2]), timeout_ns);
    for (int i = 0; i < 3 && rc >= 0; i++)
        if (p[i] && pv_copy_out(&vm->space, a[1 + i], p[i], bytes) < 0)
            return -EFAULT;
    return rc;
}

int64_t call_select(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    int64_t tv[2];
    int64_t timeout = -1;

    if (a[4]) {
        if (pv_copy_in(&vm->space, tv, a[4], sizeof tv) < 0)
            return -EFAULT;
        if (tv[0] < 0 || tv[1] < 0)
            return -EINVAL;
        /* more microseconds than a second has are seconds, and what is more than 68 years, for ever
         */
        int64_t s = tv[1] / 1000000;
        if (tv[0] <= INT32_MAX && s <= INT32_MAX)
            timeout = (tv[0] + s) * (int64_t)PV_NS_PER_S + tv[1] % 1000000 * 1000;
    }
    return do_select(vm, t, a, timeout);
}

int64_t call_pselect6(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    uint64_t mask[2] = {0, 0}; /* address, size */
    int64_t timeout;

    PV_TRY(fetch_timeout(vm, a[4], &timeout));
    if (a[5] && pv_copy_in(&vm->space, mask, a[5], sizeof mask) < 0)
        return -EFAULT;
    PV_TRY(enter_mask(vm, t, mask[0], mask[1]));
    return do_select(vm, t, a, timeout);
}

int64_t call_epoll_create1(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_epoll_create1(vm->files, (int)a[0]);
}

int64_t call_epoll_create(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return (int)a[0] <= 0 ? -EINVAL : pv_files_epoll_create1(vm->files, 0);
}

int64_t call_epoll_ctl(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct epoll_event event = {0};

    (void)t;
    if ((int)a[1] != EPOLL_CTL_DEL && pv_copy_in(&vm->space, &event, a[3], sizeof event) < 0)
        return -EFAULT;
    return pv_files_epoll_ctl(vm->files, (int)a[0], (int)a[1], (int)a[2], &event);
}

static int64_t do_epoll_wait(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct epoll_event events[EVENTS_MAX];
    int max = (int)a[2];

    if (max <= 0)
        return -EINVAL;
    if (max > EVENTS_MAX)
        max = EVENTS_MAX;
    int64_t rc = or_wait(t, pv_files_epoll_wait(vm->files, (int)a[0], events, max), ms((int)a[3]));
    return rc <= 0 ? rc : pv_call_out(vm, rc, a[1], events, (uint64_t)rc * sizeof *events);
}

int64_t call_epoll_wait(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return do_epoll_wait(vm, t, a);
}

int64_t call_epoll_pwait(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PV_TRY(enter_mask(vm, t, a[4], a[5]));
    return do_epoll_wait(vm, t, a);
}
