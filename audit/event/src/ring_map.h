/* A mapped ring and the shape of its records; shared by the two sides of ring.h. */
#pragma once
#include "pv/ring.h"

enum {
    PV_RING_HEADER_BYTES = 4096,
    PV_RING_ALIGN = 8,
    PV_RING_LENGTH_BYTES = 4,
};
#define PV_RING_WRAP 0xffffffffu

struct pv_ring_map {
    struct pv_ring_header *header; /* mapped, shared */
    uint8_t *data;                 /* PV_RING_BYTES behind the header page */
};

PV_MUST_CHECK int pv_ring_map(int fd, struct pv_ring_map *ret, struct pv_err *err);
/* Accepts a zeroed map. */
void pv_ring_unmap(struct pv_ring_map *m);

/* Bytes a record of that length (event and tag) occupies. */
static inline uint64_t pv_ring_record_bytes(uint64_t len)
{
    return (PV_RING_LENGTH_BYTES + len + PV_RING_ALIGN - 1) & ~(uint64_t)(PV_RING_ALIGN - 1);
}
