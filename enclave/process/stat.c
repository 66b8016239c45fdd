#include "stat.h"

#include "pv/own.h"

#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/uio.h>

static int read_proc(pid_t pid, const char *name, char *out, size_t cap, struct pv_err *err)
{
    char path[64];
    pv_autoclose int fd = -1;

    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return pv_fail(err, errno, "open '%s'", path);
    ssize_t n = read(fd, out, cap - 1);
    if (n < 0)
        return pv_fail(err, errno, "read '%s'", path);
    out[n] = 0;
    return 0;
}

int pv_process_stat_read(pid_t pid, struct pv_process_stat *ret, struct pv_err *err)
{
    uint64_t fields[52] = {0};
    char text[1024];

    PV_TRY(read_proc(pid, "stat", text, sizeof text, err));
    /* the command's name may hold anything, also ')' */
    char *p = strrchr(text, ')');
    if (!p || !p[1] || !p[2])
        return pv_refuse(err, EBADMSG, "/proc/%d/stat is malformed", (int)pid);
    p += 3;
    for (unsigned i = 4; i < 52 && *p; i++)
        fields[i] = strtoull(p, &p, 10);
    *ret = (struct pv_process_stat){fields[22], fields[28], fields[50], fields[51]};
    return 0;
}

static bool polls_stdin(pid_t pid, uint64_t address, uint64_t n)
{
    struct pollfd fds[16];
    size_t count = n < 16 ? (size_t)n : 16;
    struct iovec local = {fds, count * sizeof *fds};
    struct iovec remote = {(void *)(uintptr_t)address, count * sizeof *fds};

    if (count == 0 || process_vm_readv(pid, &local, 1, &remote, 1, 0) < 0)
        return false;
    for (size_t i = 0; i < count; i++)
        if (fds[i].fd == 0 && (fds[i].events & POLLIN))
            return true;
    return false;
}

static bool selects_stdin(pid_t pid, uint64_t n, uint64_t address)
{
    uint64_t set = 0;
    struct iovec local = {&set, sizeof set};
    struct iovec remote = {(void *)(uintptr_t)address, sizeof set};

    return n > 0 && address && process_vm_readv(pid, &local, 1, &remote, 1, 0) > 0 && (set & 1);
}

static bool waits_on_stdin(pid_t pid, long nr, const uint64_t *a)
{
    switch (nr) {
    case SYS_read:
    case SYS_readv:
    case SYS_pread64:
    case SYS_recvfrom:
        return a[0] == 0;
#ifdef SYS_poll
    case SYS_poll:
#endif
    case SYS_ppoll:
        return polls_stdin(pid, a[0], a[1]);
#ifdef SYS_select
    case SYS_select:
#endif
    case SYS_pselect6:
        return selects_stdin(pid, a[0], a[1]);
    default:
        return false;
    }
}

int pv_process_wait_read(pid_t pid, struct pv_process_wait *ret, struct pv_err *err)
{
    char text[256], *p = text, *end;

    *ret = (struct pv_process_wait){0};
    PV_TRY(read_proc(pid, "syscall", text, sizeof text, err));
    long nr = strtol(p, &end, 10);
    if (end == p || nr < 0) /* "running", or blocked outside a system call */
        return 0;
    p = end;
    for (unsigned i = 0; i < 6; i++)
        ret->args[i] = strtoull(p, &p, 16);
    ret->sp = strtoull(p, &p, 16);
    ret->asleep = true;
    ret->call = nr;
    ret->on_stdin = waits_on_stdin(pid, nr, ret->args);
    return 0;
}
