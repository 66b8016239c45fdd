/* Calls that change the tree: all of them within the domain's own memory-backed mounts. */
#include "calls/theme.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>

#define PATH(var, at)                                                                              \
    char var[4096];                                                                                \
    PV_TRY(pv_call_path(vm, at, var))

int64_t call_mkdirat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[1]);
    (void)t;
    return pv_files_mkdirat(vm->files, (int)a[0], path, (unsigned)a[2]);
}

int64_t call_mkdir(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return call_mkdirat(vm, t, (const uint64_t[]){(uint64_t)AT_FDCWD, a[0], a[1]});
}

int64_t call_mknodat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[1]);
    (void)t;
    return pv_files_mknodat(vm->files, (int)a[0], path, (unsigned)a[2], a[3]);
}

int64_t call_mknod(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return call_mknodat(vm, t, (const uint64_t[]){(uint64_t)AT_FDCWD, a[0], a[1], a[2]});
}

int64_t call_rmdir(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[0]);
    (void)t;
    return pv_files_rmdir(vm->files, path);
}

int64_t call_unlinkat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[1]);
    (void)t;
    return pv_files_unlinkat(vm->files, (int)a[0], path, (int)a[2]);
}

int64_t call_unlink(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return call_unlinkat(vm, t, (const uint64_t[]){(uint64_t)AT_FDCWD, a[0], 0});
}

int64_t call_renameat2(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(old, a[1]);
    PATH(new, a[3]);
    (void)t;
    return pv_files_renameat2(vm->files, (int)a[0], old, (int)a[2], new, (unsigned)a[4]);
}

int64_t call_renameat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return call_renameat2(vm, t, (const uint64_t[]){a[0], a[1], a[2], a[3], 0});
}

int64_t call_rename(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    const uint64_t here = (uint64_t)AT_FDCWD;

    return call_renameat2(vm, t, (const uint64_t[]){here, a[0], here, a[1], 0});
}

int64_t call_linkat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(old, a[1]);
    PATH(new, a[3]);
    (void)t;
    return pv_files_linkat(vm->files, (int)a[0], old, (int)a[2], new, (int)a[4]);
}

int64_t call_link(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    const uint64_t here = (uint64_t)AT_FDCWD;

    return call_linkat(vm, t, (const uint64_t[]){here, a[0], here, a[1], 0});
}

int64_t call_symlinkat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(target, a[0]);
    PATH(path, a[2]);
    (void)t;
    return pv_files_symlinkat(vm->files, target, (int)a[1], path);
}

int64_t call_symlink(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return call_symlinkat(vm, t, (const uint64_t[]){a[0], (uint64_t)AT_FDCWD, a[1]});
}

int64_t call_fchmod(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_fchmod(vm->files, (int)a[0], (unsigned)a[1]);
}

int64_t call_fchmodat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[1]);
    (void)t;
    return pv_files_fchmodat(vm->files, (int)a[0], path, (unsigned)a[2]);
}

int64_t call_chmod(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return call_fchmodat(vm, t, (const uint64_t[]){(uint64_t)AT_FDCWD, a[0], a[1]});
}

int64_t call_fchown(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_fchown(vm->files, (int)a[0], (uint32_t)a[1], (uint32_t)a[2]);
}

int64_t call_fchownat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[1]);
    (void)t;
    return pv_files_fchownat(vm->files, (int)a[0], path, (uint32_t)a[2], (uint32_t)a[3], (int)a[4]);
}

int64_t call_chown(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return call_fchownat(vm, t, (const uint64_t[]){(uint64_t)AT_FDCWD, a[0], a[1], a[2], 0});
}

int64_t call_lchown(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return call_fchownat(
        vm, t, (const uint64_t[]){(uint64_t)AT_FDCWD, a[0], a[1], a[2], AT_SYMLINK_NOFOLLOW});
}

/* Sets the times of a path, or with path 0 of the descriptor. */
static int64_t set_times(struct pv_vm *vm, int dirfd, uint64_t path_at,
                         const struct timespec *times, int flags)
{
    char path[4096];

    if (path_at)
        PV_TRY(pv_call_path(vm, path_at, path));
    return pv_files_utimensat(vm->files, dirfd, path_at ? path : NULL, times, flags);
}

int64_t call_utimensat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct timespec times[2];

    (void)t;
    if (a[2] && pv_copy_in(&vm->space, times, a[2], sizeof times) < 0)
        return -EFAULT;
    return set_times(vm, (int)a[0], a[1], a[2] ? times : NULL, (int)a[3]);
}

int64_t call_futimesat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct timeval in[2];
    struct timespec times[2];

    (void)t;
    if (!a[2])
        return set_times(vm, (int)a[0], a[1], NULL, 0);
    if (pv_copy_in(&vm->space, in, a[2], sizeof in) < 0)
        return -EFAULT;
    for (int i = 0; i < 2; i++) {
        if (in[i].tv_usec < 0 || in[i].tv_usec >= 1000000)
            return -EINVAL;
        times[i] = (struct timespec){in[i].tv_sec, in[i].tv_usec * 1000};
    }
    return set_times(vm, (int)a[0], a[1], times, 0);
}

int64_t call_utimes(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    return call_futimesat(vm, t, (const uint64_t[]){(uint64_t)AT_FDCWD, a[0], a[1]});
}

int64_t call_utime(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    int64_t in[2];

    (void)t;
    if (!a[1])
        return set_times(vm, AT_FDCWD, a[0], NULL, 0);
    if (pv_copy_in(&vm->space, in, a[1], sizeof in) < 0)
        return -EFAULT;
    const struct timespec times[2] = {{in[0], 0}, {in[1], 0}};
    return set_times(vm, AT_FDCWD, a[0], times, 0);
}

int64_t call_truncate(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[0]);
    (void)t;
    return pv_files_truncate(vm->files, path, (int64_t)a[1]);
}

int64_t call_ftruncate(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_ftruncate(vm->files, (int)a[0], (int64_t)a[1]);
}

int64_t call_fallocate(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_fallocate(vm->files, (int)a[0], (int)a[1], (int64_t)a[2], (int64_t)a[3]);
}

int64_t call_fadvise64(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_fadvise(vm->files, (int)a[0], (int64_t)a[1], (int64_t)a[2], (int)a[3]);
}

int64_t call_fsync(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_fsync(vm->files, (int)a[0]);
}
