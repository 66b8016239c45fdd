/* Calls that name files without changing them. */
#include "calls/theme.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/stat.h>
#include <string.h>

#define PATH(var, at)                                                                              \
    char var[4096];                                                                                \
    PV_TRY(pv_call_path(vm, at, var))

int64_t call_openat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[1]);
    (void)t;
    return pv_call_files(pv_files_openat(vm->files, (int)a[0], path, (int)a[2], (unsigned)a[3]));
}

int64_t call_open(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[0]);
    (void)t;
    return pv_call_files(pv_files_open(vm->files, path, (int)a[1], (unsigned)a[2]));
}

int64_t call_creat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[0]);
    (void)t;
    return pv_files_creat(vm->files, path, (unsigned)a[1]);
}

int64_t call_openat2(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    uint8_t how[256] = {0};
    struct open_how h;
    PATH(path, a[1]);

    (void)t;
    if (a[3] < sizeof h)
        return -EINVAL;
    if (a[3] > sizeof how)
        return -E2BIG;
    if (pv_copy_in(&vm->space, how, a[2], a[3]) < 0)
        return -EFAULT;
    for (size_t i = sizeof h; i < sizeof how; i++)
        if (how[i])
            return -E2BIG;
    memcpy(&h, how, sizeof h);
    return pv_call_files(pv_files_openat2(vm->files, (int)a[0], path, &h, sizeof h));
}

int64_t call_stat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct stat st;
    PATH(path, a[0]);

    (void)t;
    return pv_call_out(vm, pv_files_stat(vm->files, path, &st), a[1], &st, sizeof st);
}

int64_t call_lstat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct stat st;
    PATH(path, a[0]);

    (void)t;
    return pv_call_out(vm, pv_files_lstat(vm->files, path, &st), a[1], &st, sizeof st);
}

int64_t call_fstat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct stat st;

    (void)t;
    return pv_call_out(vm, pv_files_fstat(vm->files, (int)a[0], &st), a[1], &st, sizeof st);
}

int64_t call_newfstatat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct stat st;
    PATH(path, a[1]);

    (void)t;
    int64_t rc = pv_files_newfstatat(vm->files, (int)a[0], path, &st, (int)a[3]);
    return pv_call_out(vm, rc, a[2], &st, sizeof st);
}

int64_t call_statx(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct statx st;
    PATH(path, a[1]);

    (void)t;
    int64_t rc = pv_files_statx(vm->files, (int)a[0], path, (int)a[2], (unsigned)a[3], &st);
    return pv_call_out(vm, rc, a[4], &st, sizeof st);
}

int64_t call_statfs(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct statfs st;
    PATH(path, a[0]);

    (void)t;
    return pv_call_out(vm, pv_files_statfs(vm->files, path, &st), a[1], &st, sizeof st);
}

int64_t call_fstatfs(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    struct statfs st;

    (void)t;
    return pv_call_out(vm, pv_files_fstatfs(vm->files, (int)a[0], &st), a[1], &st, sizeof st);
}

int64_t call_access(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[0]);
    (void)t;
    return pv_files_access(vm->files, path, (int)a[1]);
}

int64_t call_faccessat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[1]);
    (void)t;
    return pv_files_faccessat2(vm->files, (int)a[0], path, (int)a[2], 0);
}

int64_t call_faccessat2(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[1]);
    (void)t;
    return pv_files_faccessat2(vm->files, (int)a[0], path, (int)a[2], (int)a[3]);
}

static int64_t read_link(struct pv_vm *vm, int dirfd, const char *path, uint64_t to, uint64_t len)
{
    char target[4096];

    if ((int64_t)len <= 0)
        return -EINVAL;
    int64_t rc = pv_files_readlinkat(vm->files, dirfd, path, target,
                                     len < sizeof target ? len : sizeof target);
    return rc < 0 ? rc : pv_call_out(vm, rc, to, target, (uint64_t)rc);
}

int64_t call_readlink(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[0]);
    (void)t;
    return read_link(vm, AT_FDCWD, path, a[1], a[2]);
}

int64_t call_readlinkat(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[1]);
    (void)t;
    return read_link(vm, (int)a[0], path, a[2], a[3]);
}

int64_t call_chdir(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    PATH(path, a[0]);
    (void)t;
    return pv_files_chdir(vm->files, path);
}

int64_t call_fchdir(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_fchdir(vm->files, (int)a[0]);
}

int64_t call_getcwd(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    char path[4096];

    (void)t;
    int64_t rc = pv_files_getcwd(vm->files, path, a[1] < sizeof path ? a[1] : sizeof path);
    return rc < 0 ? rc : pv_call_out(vm, rc, a[0], path, (uint64_t)rc);
}

int64_t call_umask(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return pv_files_umask(vm->files, (unsigned)a[0]);
}

typedef int64_t (*list_fn)(struct pv_files *f, int fd, void *buf, size_t len);

static int64_t list(struct pv_vm *vm, list_fn fn, const uint64_t *a)
{
    char entries[32768] = {0}; /* the program gets whole records, with what lies between names */
    size_t len = a[2] < sizeof entries ? a[2] : sizeof entries;

    int64_t rc = fn(vm->files, (int)a[0], entries, len);
    return rc <= 0 ? rc : pv_call_out(vm, rc, a[1], entries, (uint64_t)rc);
}

int64_t call_getdents(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return list(vm, pv_files_getdents, a);
}

int64_t call_getdents64(struct pv_vm *vm, struct pv_thread *t, const uint64_t *a)
{
    (void)t;
    return list(vm, pv_files_getdents64, a);
}
