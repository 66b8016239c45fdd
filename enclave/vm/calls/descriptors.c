/* Descriptors and what they may stand for besides files. */
#include "calls/shim.h"
#include "calls/theme.h"

#include <errno.h>
#include <fcntl.h>

int64_t call_close(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    pv_shim_forbid(vm, (int)a[0]);
    return pv_files_close(vm->files, (int)a[0]);
}

int64_t call_close_range(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    for (int fd = 0; fd < 3; fd++)
        if ((unsigned)fd >= (unsigned)a[0] && (unsigned)fd <= (unsigned)a[1])
            pv_shim_forbid(vm, fd);
    return pv_files_close_range(vm->files, (unsigned)a[0], (unsigned)a[1], (unsigned)a[2]);
}

int64_t call_dup(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_dup(vm->files, (int)a[0]);
}

int64_t call_dup2(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    pv_shim_forbid(vm, (int)a[1]);
    return pv_files_dup2(vm->files, (int)a[0], (int)a[1]);
}

int64_t call_dup3(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    pv_shim_forbid(vm, (int)a[1]);
    return pv_files_dup3(vm->files, (int)a[0], (int)a[1], (int)a[2]);
}

static int64_t lock(struct pv_vm *vm, const uint64_t *a)
{
    struct flock l;
    int cmd = (int)a[1];

    if (pv_copy_in(&vm->space, &l, a[2], sizeof l) < 0)
        return -EFAULT;
    int64_t rc = pv_call_files(pv_files_fcntl_lock(vm->files, (int)a[0], cmd, &l));
    if (cmd == F_GETLK || cmd == F_OFD_GETLK)
        return pv_call_out(vm, rc, a[2], &l, sizeof l);
    return rc;
}

int64_t call_fcntl(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    switch ((int)a[1]) {
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return lock(vm, a);
    default:
        return pv_files_fcntl(vm->files, (int)a[0], (int)a[1], a[2]);
    }
}

int64_t call_flock(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_call_files(pv_files_flock(vm->files, (int)a[0], (int)a[1]));
}

int64_t call_ioctl(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    enum pv_files_ioctl_arg kind = pv_files_ioctl_kind(a[1]);
    int value = 0;

    (void)t;
    if (kind == PV_FILES_IOCTL_IN_INT && pv_copy_in(&vm->space, &value, a[2], sizeof value) < 0)
        return -EFAULT;
    int64_t rc = pv_files_ioctl(vm->files, (int)a[0], a[1], &value);
    return kind == PV_FILES_IOCTL_OUT_INT ? pv_call_out(vm, rc, a[2], &value, sizeof value) : rc;
}

/* Hands a pair of descriptors out, or takes both back. */
static int64_t give_pair(struct pv_vm *vm, int64_t rc, const int fds[2], uint64_t at)
{
    if (rc < 0 || pv_copy_out(&vm->space, at, fds, 2 * sizeof *fds) == 0)
        return rc;
    (void)pv_files_close(vm->files, fds[0]);
    (void)pv_files_close(vm->files, fds[1]);
    return -EFAULT;
}

int64_t call_pipe2(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    int fds[2];

    (void)t;
    return give_pair(vm, pv_files_pipe2(vm->files, fds, (int)a[1]), fds, a[0]);
}

int64_t call_pipe(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return call_pipe2(vm, t, (const uint64_t[]){a[0], 0});
}

int64_t call_socketpair(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    int fds[2];

    (void)t;
    int64_t rc = pv_files_socketpair(vm->files, (int)a[0], (int)a[1], (int)a[2], fds);
    return give_pair(vm, rc, fds, a[3]);
}

int64_t call_eventfd2(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_eventfd2(vm->files, (unsigned)a[0], (int)a[1]);
}

int64_t call_eventfd(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return call_eventfd2(vm, t, (const uint64_t[]){a[0], 0});
}

int64_t call_memfd_create(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    char name[4096];

    (void)t;
    int64_t n = pv_call_path(vm, a[0], name);
    if (n < 0)
        return n == -ENAMETOOLONG ? -EINVAL : n;
    return pv_files_memfd_create(vm->files, name, (unsigned)a[1]);
}

int64_t call_inotify_init1(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_inotify_init1(vm->files, (int)a[0]);
}

int64_t call_inotify_init(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    (void)a;
    return pv_files_inotify_init1(vm->files, 0);
}

int64_t call_timerfd_create(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_timerfd_create(vm->files, (int)a[0], (int)a[1]);
}

int64_t call_timerfd_settime(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct itimerspec value;
    struct itimerspec old;

    (void)t;
    if (pv_copy_in(&vm->space, &value, a[2], sizeof value) < 0)
        return -EFAULT;
    int64_t rc = pv_files_timerfd_settime(vm->files, (int)a[0], (int)a[1], &value, &old);
    return a[3] ? pv_call_out(vm, rc, a[3], &old, sizeof old) : rc;
}

int64_t call_timerfd_gettime(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct itimerspec value;

    (void)t;
    int64_t rc = pv_files_timerfd_gettime(vm->files, (int)a[0], &value);
    return pv_call_out(vm, rc, a[1], &value, sizeof value);
}
