#include "vm_files_fixture.h"

#include <assert.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int64_t give(void *ctx, int stream, const struct iovec *iov, int n)
{
    struct fixture *x = ctx;
    int64_t done = 0;

    assert(stream == 0);
    if (!x->in)
        return PV_FILES_WAIT;
    for (int i = 0; i < n; i++) {
        size_t left = strlen(x->in) - x->in_off;
        size_t len = iov[i].iov_len < left ? iov[i].iov_len : left;

        memcpy(iov[i].iov_base, x->in + x->in_off, len);
        x->in_off += len;
        done += (int64_t)len;
    }
    return done;
}

static int64_t take(void *ctx, int stream, const struct iovec *iov, int n)
{
    struct fixture *x = ctx;
    int64_t done = 0;

    assert(stream == 1 || stream == 2);
    for (int i = 0; i < n; i++) {
        size_t left = sizeof x->out - x->out_len;
        size_t len = iov[i].iov_len < left ? iov[i].iov_len : left;

        memcpy(x->out + x->out_len, iov[i].iov_base, len);
        x->out_len += len;
        done += (int64_t)iov[i].iov_len;
    }
    return done;
}

static void fill(void *ctx, void *buf, size_t len)
{
    (void)ctx;
    memset(buf, 0x5a, len);
}

static int now(void *ctx, clockid_t clock, struct timespec *ret)
{
    const struct fixture *x = ctx;

    if (clock_gettime(clock, ret) < 0)
        return -EINVAL;
    ret->tv_sec += x->skip_ns / 1000000000;
    ret->tv_nsec += x->skip_ns % 1000000000;
    if (ret->tv_nsec >= 1000000000) {
        ret->tv_nsec -= 1000000000;
        ret->tv_sec++;
    }
    return 0;
}

static int connected(void *ctx, int type, const struct sockaddr *address, socklen_t len)
{
    struct fixture *x = ctx;

    (void)type;
    (void)address;
    (void)len;
    return x->connect_fd;
}

static void noted(void *ctx, const struct pv_files_event *event)
{
    struct fixture *x = ctx;

    assert(event->path && event->path2 && event->call);
    x->events++;
    x->last_kind = (int)event->kind;
    x->last_result = event->result;
    snprintf(x->last_path, sizeof x->last_path, "%s", event->path);
}

static void file(int dir, const char *name, const char *text, mode_t mode)
{
    int fd = openat(dir, name, O_CREAT | O_WRONLY | O_EXCL, 0600);

    assert(fd >= 0);
    assert(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    assert(fchmod(fd, mode) == 0);
    close(fd);
}

static void build(int dir)
{
    char name[16];

    assert(mkdirat(dir, "etc", 0755) == 0 && mkdirat(dir, "bin", 0755) == 0);
    assert(mkdirat(dir, "tmp", 0755) == 0 && mkdirat(dir, "d", 0755) == 0);
    file(dir, "etc/hello", "hello, world\n", 0644);
    file(dir, "bin/tool", "#!/bin/true\n", 0755);
    file(dir, "secret", "s", 0600);
    file(dir, "tmp/shadowed", "x", 0644);
    assert(symlinkat("etc/hello", dir, "link") == 0);
    assert(symlinkat("../../etc", dir, "up") == 0);
    assert(symlinkat("loop", dir, "loop") == 0);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "d/%d", i);
        file(dir, name, "", 0644);
    }
}

void fixture_open(struct fixture *x)
{
    *x = (struct fixture){.root = "/tmp/provost-files-XXXXXX", .connect_fd = -EACCES};
    assert(mkdtemp(x->root));
    assert(chmod(x->root, 0755) == 0);
    x->root_fd = open(x->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert(x->root_fd >= 0);
    build(x->root_fd);
    x->host = (struct pv_files_host){.read = give,
                                     .write = take,
                                     .random = fill,
                                     .now = now,
                                     .connect = connected,
                                     .event = noted};
    x->spec = (struct pv_files_spec){.root_fd = x->root_fd,
                                     .exe = "/bin/tool",
                                     .umask = 022,
                                     .host = &x->host,
                                     .ctx = x,
                                     .memory_bytes = 64 << 20};
}

static int unlink_one(const char *path, const struct stat *st, int type, struct FTW *where)
{
    (void)st;
    (void)type;
    (void)where;
    return remove(path);
}

void fixture_close(struct fixture *x)
{
    close(x->root_fd);
    nftw(x->root, unlink_one, 16, FTW_DEPTH | FTW_PHYS);
}

int64_t fx_read(struct pv_files *f, int fd, void *buf, size_t len)
{
    const struct iovec iov = {buf, len};

    return pv_files_read(f, fd, &iov, 1);
}

int64_t fx_write(struct pv_files *f, int fd, const void *buf, size_t len)
{
    union {
        const void *in;
        void *out;
    } p = {buf};
    const struct iovec iov = {p.out, len};

    return pv_files_write(f, fd, &iov, 1);
}

int64_t fx_puts(struct pv_files *f, int fd, const char *text)
{
    return fx_write(f, fd, text, strlen(text));
}
