#include "pv/io.h"

#include "pv/own.h"

#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

int pv_write_all(int fd, const void *p, size_t len, struct pv_err *err)
{
    for (size_t off = 0; off < len;) {
        ssize_t n = write(fd, (const uint8_t *)p + off, len - off);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return pv_fail(err, n < 0 ? errno : EIO, "write %zu bytes", len);
        off += (size_t)n;
    }
    return 0;
}

int pv_read_file_at(int dir_fd, const char *name, struct pv_buf *b, struct pv_err *err)
{
    pv_autoclose int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0)
        return pv_fail(err, errno, "open '%s'", name);
    uint8_t chunk[16384];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof chunk);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return pv_fail(err, errno, "read '%s'", name);
        if (n == 0)
            return pv_buf_check(b, name, err);
        pv_buf_raw(b, chunk, (size_t)n);
        if (b->failed) /* a device would go on for ever */
            return pv_buf_check(b, name, err);
    }
}

int pv_replace_file_at(int dir_fd, const char *name, const void *p, size_t len, mode_t mode,
                       struct pv_err *err)
{
    char tmp[PATH_MAX];
    snprintf(tmp, sizeof tmp, ".%s.tmp", name);
    pv_autoclose int fd =
        openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0)
        return pv_fail(err, errno, "create '%s'", tmp);
    int rc = pv_write_all(fd, p, len, err);
    if (rc == 0 && (fchmod(fd, mode) < 0 || fsync(fd) < 0))
        rc = pv_fail(err, errno, "write '%s'", name);
    if (rc == 0 && renameat(dir_fd, tmp, dir_fd, name) < 0)
        rc = pv_fail(err, errno, "replace '%s'", name);
    if (rc == 0 && fsync(dir_fd) < 0)
        rc = pv_fail(err, errno, "sync the directory of '%s'", name);
    if (rc < 0)
        (void)unlinkat(dir_fd, tmp, 0);
    return rc;
}

int pv_wrap_full(struct pv_err *err, int rc, const char *state_dir)
{
    if (rc != -ENOSPC && rc != -EDQUOT)
        return rc;
    return pv_wrap(err, rc, "the state directory '%s' is full; make room there", state_dir);
}
