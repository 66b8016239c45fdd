/* A reader of a BPF ring buffer whose space is freed by a step of its own, once the log holds the
 * records (libbpf's frees each record as soon as its callback returns). Layout as in
 * kernel/bpf/ringbuf.c: a consumer page, a producer page, the data mapped twice in a row. */
#pragma once
#include "pv/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pv_probe_ring {
    uint8_t *consumer;       /* mapped read-write, one page */
    const uint8_t *producer; /* mapped read-only: a page and twice the data */
    size_t size;
    size_t page;
    uint64_t pos; /* next record to return */
};

PV_MUST_CHECK int pv_probe_ring_map(struct pv_probe_ring *r, int map_fd, size_t size,
                                    struct pv_err *err);
/* The next record, in place, valid until released; NULL when none is complete. */
const void *pv_probe_ring_next(struct pv_probe_ring *r, size_t *ret_len);
/* Everything was returned; a record that is being filled counts as one that is there. */
bool pv_probe_ring_is_empty(const struct pv_probe_ring *r);
/* Bytes that are not free to be overwritten. */
uint64_t pv_probe_ring_waiting(const struct pv_probe_ring *r);
/* Frees everything before that position. */
void pv_probe_ring_release(struct pv_probe_ring *r, uint64_t pos);
void pv_probe_ring_unmap(struct pv_probe_ring *r);
