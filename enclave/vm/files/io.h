/* A place in the caller's iovecs. */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

struct pv_io {
    const struct iovec *iov; /* borrowed */
    size_t off;              /* inside iov[0] */
    size_t left;             /* bytes from here on */
};

/* Linux's limit of one transfer. */
#define PV_IO_MAX ((size_t)0x7ffff000)

/* Fails with -EINVAL for sums over SSIZE_MAX or more than IOV_MAX entries, as the system calls do.
 */
static inline int pv_io_init(struct pv_io *io, const struct iovec *iov, int n)
{
    uint64_t sum = 0;

    if (n < 0 || n > 1024)
        return -22; /* EINVAL */
    for (int i = 0; i < n; i++) {
        if (iov[i].iov_len > INT64_MAX)
            return -22;
        sum += iov[i].iov_len;
        if (sum > PV_IO_MAX)
            sum = PV_IO_MAX;
    }
    *io = (struct pv_io){iov, 0, (size_t)sum};
    return 0;
}

/* The next piece in one row of at most max bytes; moves on. NULL at the end. */
static inline void *pv_io_next(struct pv_io *io, size_t max, size_t *ret_len)
{
    uint8_t *p;
    size_t len;

    if (io->left == 0 || max == 0)
        return NULL;
    while (io->off == io->iov->iov_len) {
        io->iov++;
        io->off = 0;
    }
    len = io->iov->iov_len - io->off;
    if (len > io->left)
        len = io->left;
    if (len > max)
        len = max;
    p = (uint8_t *)io->iov->iov_base + io->off;
    io->off += len;
    io->left -= len;
    *ret_len = len;
    return p;
}

/* Copies into the iovecs; returns bytes copied. */
static inline size_t pv_io_put(struct pv_io *io, const void *src, size_t len)
{
    size_t done = 0;
    size_t part;
    void *to;

    while ((to = pv_io_next(io, len - done, &part))) {
        memcpy(to, (const uint8_t *)src + done, part);
        done += part;
    }
    return done;
}

static inline size_t pv_io_get(struct pv_io *io, void *dst, size_t len)
{
    size_t done = 0;
    size_t part;
    const void *from;

    while ((from = pv_io_next(io, len - done, &part))) {
        memcpy((uint8_t *)dst + done, from, part);
        done += part;
    }
    return done;
}
