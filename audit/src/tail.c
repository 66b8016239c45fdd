#include "tail.h"

#include "pv/io.h"
#include "pv/own.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

int pv_tail_open(struct pv_tail *t, int dir_fd, const char *name, struct pv_err *err)
{
    struct stat st;
    pv_autoclose int fd =
        openat(dir_fd, name, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0 || fstat(fd, &st) < 0)
        return pv_fail(err, errno, "open '%s' for appending", name);
    /* Whoever wrote it last may have died before the sync. */
    *t = (struct pv_tail){
        .fd = PV_TAKE_FD(fd), .bytes = (uint64_t)st.st_size, .dirty = st.st_size > 0};
    return 0;
}

void pv_tail_reserve(struct pv_tail *t)
{
    enum { STEP = 1 << 20 };
    if (t->bytes + STEP / 4 < t->reserved)
        return;
    if (fallocate(t->fd, FALLOC_FL_KEEP_SIZE, (off_t)t->bytes, STEP) == 0)
        t->reserved = t->bytes + STEP;
}

int pv_tail_append(struct pv_tail *t, const void *p, size_t len, struct pv_err *err)
{
    if (t->torn)
        PV_TRY(pv_tail_cut(t, t->bytes, err));
    int rc = pv_write_all(t->fd, p, len, err);
    if (rc < 0) {
        struct pv_err second = PV_ERR_INIT;
        t->torn = true;
        if (pv_tail_cut(t, t->bytes, &second) < 0)
            return pv_wrap(err, rc, "%s, after", second.text);
        return rc;
    }
    t->bytes += len;
    t->dirty = true;
    return 0;
}

int pv_tail_cut(struct pv_tail *t, uint64_t bytes, struct pv_err *err)
{
    if (ftruncate(t->fd, (off_t)bytes) < 0)
        return pv_fail(err, errno, "cut a file back to %ju bytes", (uintmax_t)bytes);
    t->bytes = t->reserved = bytes;
    t->dirty = true;
    t->torn = false;
    return 0;
}

int pv_tail_sync(struct pv_tail *t, struct pv_err *err)
{
    if (!t->dirty)
        return 0;
    /* After a failed sync the kernel may have dropped what it could not write and call the next
     * one a success: whatever the reason, there is no trying again. */
    if (fdatasync(t->fd) < 0)
        return pv_refuse(err, EIO, "sync the log: %s", strerror(errno));
    t->dirty = false;
    return 0;
}

void pv_tail_close(struct pv_tail *t)
{
    if (t->fd >= 0)
        (void)close(t->fd);
    *t = (struct pv_tail){.fd = -1};
}
