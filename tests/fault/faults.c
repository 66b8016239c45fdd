#include "faults.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct faults plan;
static bool armed;
static uint64_t *calls; /* that could have failed; shared with the child */

/* Files that were written to, with the length that a sync made durable; shared with the child. */
enum { FILES_MAX = 512 };
static struct written {
    unsigned n;
    struct {
        char path[128];
        off_t durable;
    } file[FILES_MAX];
} * files;

static off_t length_of(int fd)
{
    struct stat st;
    return fstat(fd, &st) == 0 ? st.st_size : 0;
}

/* The file's place in the list, by its present name; a new one begins with what it holds. */
static void note_file(int fd, off_t durable, bool known_only)
{
    char link[32], path[128];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return;
    path[n] = 0;
    unsigned i = 0;
    while (i < files->n && strcmp(files->file[i].path, path) != 0)
        i++;
    if (i == files->n && (known_only || files->n == FILES_MAX))
        return;
    if (i < files->n && !known_only)
        return;
    if (i == files->n)
        memcpy(files->file[files->n++].path, path, (size_t)n + 1);
    files->file[i].durable = durable;
}

void faults_lose_power(void)
{
    for (unsigned i = 0; i < files->n; i++) {
        struct stat st;
        const char *path = files->file[i].path;
        if (stat(path, &st) == 0 && st.st_size > files->file[i].durable)
            (void)!truncate(path, files->file[i].durable);
    }
    _exit(FAULTS_DIED);
}

/* Whether the call that is about to be made is the one. */
static bool strikes(void)
{
    if (!armed || (*calls)++ != plan.at)
        return false;
    if (plan.die && plan.power)
        faults_lose_power();
    if (plan.die)
        _exit(FAULTS_DIED);
    errno = plan.error;
    return true;
}

#define WRAP(type, name, params, args)                                                             \
    type __real_##name params;                                                                     \
    type __wrap_##name params;                                                                     \
    type __wrap_##name params                                                                      \
    {                                                                                              \
        return strikes() ? (type)-1 : __real_##name args;                                          \
    }
/* A sync makes durable what the file holds. */
#define WRAP_SYNC(name)                                                                            \
    int __real_##name(int fd);                                                                     \
    int __wrap_##name(int fd);                                                                     \
    int __wrap_##name(int fd)                                                                      \
    {                                                                                              \
        if (strikes())                                                                             \
            return -1;                                                                             \
        if (files)                                                                                 \
            note_file(fd, length_of(fd), true);                                                    \
        return __real_##name(fd);                                                                  \
    }
WRAP_SYNC(fdatasync)
WRAP_SYNC(fsync)
/* All files there are. */
int __real_syncfs(int fd);
int __wrap_syncfs(int fd);
int __wrap_syncfs(int fd)
{
    if (strikes())
        return -1;
    for (unsigned i = 0; files && i < files->n; i++) {
        struct stat st;
        if (stat(files->file[i].path, &st) == 0)
            files->file[i].durable = st.st_size;
    }
    return __real_syncfs(fd);
}

/* No threads, with which calls would come in no order. */
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*run)(void *),
                          void *arg)
{
    (void)thread;
    (void)attr;
    (void)run;
    (void)arg;
    return EAGAIN;
}

WRAP(int, ftruncate, (int fd, off_t len), (fd, len))
WRAP(int, renameat, (int a, const char *from, int b, const char *to), (a, from, b, to))
WRAP(int, unlinkat, (int dir, const char *name, int flags), (dir, name, flags))
WRAP(int, mkdirat, (int dir, const char *name, mode_t mode), (dir, name, mode))

int __real_openat(int dir, const char *name, int flags, mode_t mode);
int __wrap_openat(int dir, const char *name, int flags, mode_t mode);
int __wrap_openat(int dir, const char *name, int flags, mode_t mode)
{
    return strikes() ? -1 : __real_openat(dir, name, flags, mode);
}

/* Half of it reaches the file, as on a disk that fills up. */
ssize_t __real_write(int fd, const void *p, size_t len);
ssize_t __wrap_write(int fd, const void *p, size_t len);
ssize_t __wrap_write(int fd, const void *p, size_t len)
{
    if (files)
        note_file(fd, length_of(fd), false);
    if (!armed || *calls != plan.at)
        return strikes() ? -1 : __real_write(fd, p, len);
    (void)!__real_write(fd, p, len / 2);
    (void)strikes();
    return -1;
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
    return strikes() ? NULL : __real_calloc(n, size);
}

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size)
{
    return strikes() ? NULL : __real_realloc(p, size);
}

void faults_plan(const struct faults *f)
{
    armed = false;
    plan = *f;
}

bool faults_arm(bool on)
{
    bool was = armed;
    armed = on;
    return was;
}

uint64_t faults_calls(void)
{
    return *calls;
}

void *faults_shared(size_t bytes)
{
    void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED)
        abort();
    return p;
}

int faults_run(int (*work)(void *ctx, struct pv_err *err), void *ctx)
{
    struct pv_err err = PV_ERR_INIT;
    if (!calls)
        calls = faults_shared(sizeof *calls);
    *calls = 0;
    if (!files)
        files = faults_shared(sizeof *files);
    if (!plan.goes_on)
        files->n = 0;
    pid_t pid = fork();
    if (pid == 0) {
        armed = true;
        int rc = work(ctx, &err);
        armed = false;
        _exit(rc < 0 ? FAULTS_REFUSED : 0);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status)); /* no abort, no fault */
    return WEXITSTATUS(status);
}

uint64_t faults_stride(void)
{
    const char *all = getenv("PV_FAULT_ALL");
    return all && *all ? 1 : 7;
}
