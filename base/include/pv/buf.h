/* Bytes: a writer with a mandatory ceiling and a sticky error, a reader that must be consumed
 * exactly. Integers are big-endian; byte strings carry a 32-bit length. */
#pragma once
#include "pv/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pv_buf {
    uint8_t *data;  /* owned; grows up to max_bytes */
    size_t len;
    size_t cap;
    size_t max_bytes;
    bool failed;    /* sticky: the ceiling was hit or memory ran out */
};

/* Starts an empty writer that never grows past max_bytes. */
void pv_buf_init(struct pv_buf *b, size_t max_bytes);
/* Frees the bytes; accepts a zeroed buffer; leaves it empty. */
void pv_buf_done(struct pv_buf *b);
/* Forgets the content and the error, keeps the memory. */
void pv_buf_reset(struct pv_buf *b);
void pv_buf_u8(struct pv_buf *b, uint8_t v);
void pv_buf_u16(struct pv_buf *b, uint16_t v);
void pv_buf_u32(struct pv_buf *b, uint32_t v);
void pv_buf_u64(struct pv_buf *b, uint64_t v);
/* Raw bytes, no length. p may be NULL when len is 0. */
void pv_buf_raw(struct pv_buf *b, const void *p, size_t len);
/* 32-bit length, then the bytes. */
void pv_buf_bytes(struct pv_buf *b, const void *p, size_t len);
/* As pv_buf_bytes of strlen(s); NULL counts as "". */
void pv_buf_str(struct pv_buf *b, const char *s);
/* Formatted text, no length, no NUL. */
void pv_buf_printf(struct pv_buf *b, const char *fmt, ...) PV_PRINTF(2, 3);
/* 0, or -EMSGSIZE (what names the buffer in the sentence) when a write failed. */
PV_MUST_CHECK int pv_buf_check(const struct pv_buf *b, const char *what, struct pv_err *err);

static inline void pv_buf_cleanup_(struct pv_buf *b)
{
    pv_buf_done(b);
}
#define pv_autobuf __attribute__((cleanup(pv_buf_cleanup_)))

struct pv_reader {
    const uint8_t *data; /* borrowed for the reader's life */
    size_t len;
    size_t off;
    bool failed;         /* sticky: read past the end or a length out of bounds */
};

static inline struct pv_reader pv_reader_of(const void *p, size_t len)
{
    return (struct pv_reader){(const uint8_t *)p, len, 0, false};
}
uint8_t pv_read_u8(struct pv_reader *r);
uint16_t pv_read_u16(struct pv_reader *r);
uint32_t pv_read_u32(struct pv_reader *r);
uint64_t pv_read_u64(struct pv_reader *r);
/* n raw bytes, borrowed from the input; NULL (and failed) when they are not there. */
const uint8_t *pv_read_raw(struct pv_reader *r, size_t n);
/* A length-prefixed byte string, borrowed; fails when longer than max. */
const uint8_t *pv_read_bytes(struct pv_reader *r, size_t max, size_t *ret_len);
/* A length-prefixed string copied into out (cap bytes, NUL-terminated); fails when it does not fit
 * or contains a NUL. */
void pv_read_str(struct pv_reader *r, char *out, size_t cap);
/* 0 when nothing failed and every byte was consumed, else -EBADMSG. */
PV_MUST_CHECK int pv_reader_end(const struct pv_reader *r, const char *what, struct pv_err *err);
