/* A producer's ring: a file in the state directory mapped by one producer and the auditor, so that
 * what was put in survives the death of either, or of both. Single producer, single consumer.
 *
 * Layout: one header page (struct pv_ring_header), then PV_RING_BYTES of data. A record is u32
 * length (of event and tag together), event, 32-byte tag, padded to 8; a length of 0xffffffff means
 * "continue at the start". head and tail are byte counters that only grow. The consumer trusts
 * nothing in it: every length is bounded, a bad record condemns the ring. */
#pragma once
#include "pv/event.h"
#include "pv/ratchet.h"

#include <stdatomic.h>

#define PV_RING_MAGIC 0x50565231u /* "PVR1" */

struct pv_ring_header {
    uint32_t magic;
    uint32_t data_bytes;
    uint8_t domain[PV_DOMAIN_ID_BYTES];
    _Alignas(64) _Atomic uint64_t head;     /* written by the producer */
    _Alignas(64) _Atomic uint64_t tail;     /* written by the auditor after the log has the events */
    _Atomic uint32_t sleeping;              /* 1: the auditor waits for the bell */
    _Atomic uint64_t appended_dseq;         /* events with a lower dseq are in the log */
    _Atomic uint64_t signed_dseq;           /* events with a lower dseq lie under a checkpoint */
    _Alignas(64) _Atomic uint64_t unrecorded; /* noted by the producer, and no event yet */
};

/* Creates and sizes the ring file for a domain (supervisor). Returns the descriptor. */
PV_MUST_CHECK int pv_ring_create(int dir_fd, const char *name, const struct pv_domain_id *domain,
                                 struct pv_err *err);

/* --- producer side; one thread --- */
struct pv_producer;
/* Maps the ring; bell_fd is an eventfd the auditor sleeps on. Takes both descriptors on success.
 * Emits DOMAIN_OPEN with the commitment, name, getpid() and measurement (32 bytes) at once. */
PV_MUST_CHECK int pv_producer_open(struct pv_producer **ret, int ring_fd, int bell_fd,
                                   const struct pv_domain_id *domain,
                                   const uint8_t seed[PV_KEY_BYTES], const char *name,
                                   const uint8_t measurement[PV_HASH_BYTES], struct pv_err *err);
/* Sets domain, epoch and dseq, encodes, tags, publishes; now and then an epoch-end event goes first.
 * -EAGAIN when the ring is full (nothing was
 * consumed of the chain: emit again later). */
PV_MUST_CHECK int pv_producer_emit(struct pv_producer *p, struct pv_event *e, struct pv_err *err);
/* Free bytes of the ring: a host stops taking requests below a reserve. */
size_t pv_producer_space(const struct pv_producer *p);
/* Rings the bell when the auditor sleeps. emit does so by itself for critical kinds and when the
 * auditor sleeps; call it before waiting. */
void pv_producer_flush(struct pv_producer *p);
/* dseq of the next event, and how far the auditor has come. */
uint64_t pv_producer_next_dseq(const struct pv_producer *p);
uint64_t pv_producer_signed_dseq(const struct pv_producer *p);
/* For what the producer's process notes before it makes events of it: its threads add to this count
 * before they note something, and it is taken off once the event is emitted. What is left when the
 * process ends is in no event, and the auditor says so. Valid as long as the producer. */
_Atomic uint64_t *pv_producer_unrecorded(struct pv_producer *p);
/* Emits DOMAIN_CLOSE when it fits, unmaps, erases the key. Accepts NULL. */
void pv_producer_close(struct pv_producer *p, const char *reason);

/* --- consumer side (auditor) --- */
struct pv_ring_reader;
/* Maps the ring and takes the descriptor on success. */
PV_MUST_CHECK int pv_ring_reader_open(struct pv_ring_reader **ret, int ring_fd, struct pv_err *err);
struct pv_ring_record {
    const uint8_t *event; /* a private copy, valid until the next call */
    size_t event_len;
    const uint8_t *tag;   /* PV_TAG_BYTES */
};
/* 1 = a record, 0 = empty, -EBADMSG when the ring is damaged. Does not free the space. */
PV_MUST_CHECK int pv_ring_reader_next(struct pv_ring_reader *r, struct pv_ring_record *ret,
                                      struct pv_err *err);
/* Frees the space of every record returned so far: call it once the log holds them. */
void pv_ring_reader_release(struct pv_ring_reader *r, uint64_t appended_dseq);
void pv_ring_reader_signed(struct pv_ring_reader *r, uint64_t signed_dseq);
/* Announces that the auditor is about to sleep; returns true when the ring is still empty. */
bool pv_ring_reader_sleep(struct pv_ring_reader *r);
/* At most so many things that the producer had noted are in none of its events. */
uint64_t pv_ring_reader_unrecorded(const struct pv_ring_reader *r);
void pv_ring_reader_wake(struct pv_ring_reader *r);
void pv_ring_reader_free(struct pv_ring_reader *r);
