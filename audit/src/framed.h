/* A growing file of frames, each a 16-bit big-endian length (never 0) and that many bytes: what
 * C2SP tlog-tiles calls an entry bundle. */
#pragma once
#include "pv/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PV_FRAME_HEAD_BYTES = 2, PV_FRAMED_BUFFER_BYTES = 1 << 17 };

struct pv_framed {
    int fd;         /* owned; -1: none */
    uint64_t start; /* file offset of buf[0] */
    size_t pos;     /* next frame in buf */
    size_t len;
    size_t max;   /* longest frame allowed */
    bool ended;   /* nothing was left to be read */
    uint8_t *buf; /* owned, PV_FRAMED_BUFFER_BYTES */
};

/* Takes fd on success. */
PV_MUST_CHECK int pv_framed_init(struct pv_framed *f, int fd, uint64_t offset, size_t max,
                                 struct pv_err *err);
/* Closes the file and starts over with another at that offset; takes fd. */
void pv_framed_switch(struct pv_framed *f, int fd, uint64_t offset);
/* 1 = a frame, borrowed until the next call; 0 = none complete; -EBADMSG. */
PV_MUST_CHECK int pv_framed_next(struct pv_framed *f, const uint8_t **ret, size_t *ret_len,
                                 struct pv_err *err);
static inline uint64_t pv_framed_offset(const struct pv_framed *f)
{
    return f->start + f->pos;
}
/* Bytes behind the last complete frame seen. */
static inline size_t pv_framed_torn(const struct pv_framed *f)
{
    return f->len - f->pos;
}
void pv_framed_done(struct pv_framed *f);
