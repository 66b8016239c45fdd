/* The auditor's side of a ring. The producer may be compromised: every number read from the mapping
 * is copied once, bounded, and only then used. */
#include "ring_map.h"

#include "pv/own.h"

#include <string.h>

enum { RECORD_MAX = PV_EVENT_MAX + PV_TAG_BYTES };

struct pv_ring_reader {
    struct pv_ring_map ring;
    uint64_t cursor;          /* next record; ahead of the shared tail until released */
    uint64_t head;            /* last head seen */
    uint8_t copy[RECORD_MAX]; /* the record at hand */
};

static int check_head(uint64_t head, uint64_t cursor, struct pv_err *err)
{
    if (head - cursor > PV_RING_BYTES || head % PV_RING_ALIGN || cursor % PV_RING_ALIGN)
        return pv_refuse(err, EBADMSG, "ring counters are damaged");
    return 0;
}

int pv_ring_reader_open(struct pv_ring_reader **ret, int ring_fd, struct pv_err *err)
{
    pv_autofree struct pv_ring_reader *r = calloc(1, sizeof *r);
    if (!r)
        return pv_fail(err, ENOMEM, "allocate a ring reader");
    PV_TRY(pv_ring_map(ring_fd, &r->ring, err));
    r->cursor = atomic_load(&r->ring.header->tail);
    r->head = atomic_load_explicit(&r->ring.header->head, memory_order_acquire);
    int rc = check_head(r->head, r->cursor, err);
    if (rc < 0) {
        pv_ring_unmap(&r->ring);
        return rc;
    }
    (void)close(ring_fd);
    *ret = PV_TAKE_PTR(r);
    return 0;
}

/* Loaded exactly once: what was checked is what is used. */
static uint32_t length_at(const struct pv_ring_reader *r, uint64_t offset)
{
    return __atomic_load_n((const uint32_t *)(const void *)(r->ring.data + offset),
                           __ATOMIC_RELAXED);
}

int pv_ring_reader_next(struct pv_ring_reader *r, struct pv_ring_record *ret, struct pv_err *err)
{
    if (r->cursor == r->head) {
        r->head = atomic_load_explicit(&r->ring.header->head, memory_order_acquire);
        PV_TRY(check_head(r->head, r->cursor, err));
        if (r->cursor == r->head)
            return 0;
    }
    uint64_t offset = r->cursor & (PV_RING_BYTES - 1), to_end = PV_RING_BYTES - offset;
    uint64_t cursor = r->cursor;
    uint32_t len = length_at(r, offset);
    if (len == PV_RING_WRAP) {
        cursor += to_end;
        offset = 0;
        to_end = PV_RING_BYTES;
        if (r->head - r->cursor <= cursor - r->cursor)
            return pv_refuse(err, EBADMSG, "ring wraps past its head");
        len = length_at(r, 0);
    }
    uint64_t record = pv_ring_record_bytes(len);
    if (len <= PV_TAG_BYTES || len > RECORD_MAX || record > to_end || record > r->head - cursor)
        return pv_refuse(err, EBADMSG, "ring holds a record of %u bytes where none can be", len);
    memcpy(r->copy, r->ring.data + offset + PV_RING_LENGTH_BYTES, len);
    r->cursor = cursor + record;
    *ret = (struct pv_ring_record){r->copy, len - PV_TAG_BYTES, r->copy + len - PV_TAG_BYTES};
    return 1;
}

void pv_ring_reader_release(struct pv_ring_reader *r, uint64_t appended_dseq)
{
    atomic_store_explicit(&r->ring.header->appended_dseq, appended_dseq, memory_order_relaxed);
    atomic_store_explicit(&r->ring.header->tail, r->cursor, memory_order_release);
}

void pv_ring_reader_signed(struct pv_ring_reader *r, uint64_t signed_dseq)
{
    atomic_store_explicit(&r->ring.header->signed_dseq, signed_dseq, memory_order_release);
}

bool pv_ring_reader_sleep(struct pv_ring_reader *r)
{
    /* A store dirties a page of a file, again each second while nothing happens. */
    if (!atomic_load(&r->ring.header->sleeping))
        atomic_store(&r->ring.header->sleeping, 1);
    atomic_thread_fence(memory_order_seq_cst);
    return atomic_load_explicit(&r->ring.header->head, memory_order_acquire) == r->cursor;
}

uint64_t pv_ring_reader_unrecorded(const struct pv_ring_reader *r)
{
    return atomic_load_explicit(&r->ring.header->unrecorded, memory_order_acquire);
}

void pv_ring_reader_wake(struct pv_ring_reader *r)
{
    atomic_store_explicit(&r->ring.header->sleeping, 0, memory_order_relaxed);
}

void pv_ring_reader_free(struct pv_ring_reader *r)
{
    if (!r)
        return;
    pv_ring_unmap(&r->ring);
    free(r);
}
