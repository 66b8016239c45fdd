#include "framed.h"

#include "pv/own.h"

#include <string.h>

int pv_framed_init(struct pv_framed *f, int fd, uint64_t offset, size_t max, struct pv_err *err)
{
    uint8_t *buf = malloc(PV_FRAMED_BUFFER_BYTES);
    if (!buf)
        return pv_fail(err, ENOMEM, "allocate a read buffer");
    *f = (struct pv_framed){.fd = fd, .start = offset, .max = max, .buf = buf};
    return 0;
}

void pv_framed_switch(struct pv_framed *f, int fd, uint64_t offset)
{
    if (f->fd >= 0)
        (void)close(f->fd);
    f->fd = fd;
    f->start = offset;
    f->pos = f->len = 0;
    f->ended = false;
}

static int refill(struct pv_framed *f, struct pv_err *err)
{
    if (f->pos) {
        memmove(f->buf, f->buf + f->pos, f->len - f->pos);
        f->start += f->pos;
        f->len -= f->pos;
        f->pos = 0;
    }
    ssize_t n;
    do
        n = pread(f->fd, f->buf + f->len, PV_FRAMED_BUFFER_BYTES - f->len,
                  (off_t)(f->start + f->len));
    while (n < 0 && errno == EINTR);
    if (n < 0)
        return pv_fail(err, errno, "read the log");
    f->len += (size_t)n;
    return n > 0;
}

/* Length of the frame at pos when it is all there, 0 when not. */
static int complete(const struct pv_framed *f, size_t *ret, struct pv_err *err)
{
    size_t have = f->len - f->pos;
    *ret = 0;
    if (have < PV_FRAME_HEAD_BYTES)
        return 0;
    size_t len = (size_t)f->buf[f->pos] << 8 | f->buf[f->pos + 1];
    if (len == 0 || len > f->max)
        return pv_refuse(err, EBADMSG, "a length of %zu at offset %ju cannot be", len,
                         (uintmax_t)pv_framed_offset(f));
    if (have - PV_FRAME_HEAD_BYTES >= len)
        *ret = len;
    return 0;
}

int pv_framed_next(struct pv_framed *f, const uint8_t **ret, size_t *ret_len, struct pv_err *err)
{
    /* A half frame at the end may have been cut off since, and another stand in its place. */
    if (f->ended)
        f->len = f->pos;
    f->ended = false;
    for (;;) {
        size_t len;
        PV_TRY(complete(f, &len, err));
        if (len) {
            *ret = f->buf + f->pos + PV_FRAME_HEAD_BYTES;
            *ret_len = len;
            f->pos += PV_FRAME_HEAD_BYTES + len;
            return 1;
        }
        int more = f->fd < 0 ? 0 : refill(f, err);
        f->ended = more == 0;
        if (more <= 0)
            return more;
    }
}

void pv_framed_done(struct pv_framed *f)
{
    if (f->fd >= 0)
        (void)close(f->fd);
    free(f->buf);
    *f = (struct pv_framed){.fd = -1};
}
