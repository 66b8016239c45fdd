/* The producer's side of a ring: encode, tag, publish. */
#include "ring_map.h"

#include "pv/clock.h"
#include "pv/own.h"

#include <string.h>
#include <sys/mman.h>

struct pv_producer {
    struct pv_ring_map ring;
    int bell_fd; /* owned */
    struct pv_domain_id domain;
    struct pv_ratchet ratchet;
    uint64_t epoch_since_ns;
    struct pv_buf scratch; /* canonical bytes of the event at hand */
};

static void free_producer(struct pv_producer *p)
{
    if (!p)
        return;
    pv_ring_unmap(&p->ring);
    pv_ratchet_done(&p->ratchet);
    pv_buf_done(&p->scratch);
    if (p->bell_fd >= 0)
        (void)close(p->bell_fd);
    free(p);
}
PV_DEFINE_CLEANUP(struct pv_producer, free_producer)

static int emit_open(struct pv_producer *p, const char *name, const uint8_t *measurement,
                     struct pv_err *err)
{
    uint8_t commitment[PV_HASH_BYTES];
    struct pv_event e;
    pv_ratchet_commitment(&p->ratchet, commitment);
    pv_event_init(&e, PV_K_DOMAIN_OPEN, NULL);
    pv_event_text(&e, name);
    pv_event_bytes(&e, commitment, sizeof commitment);
    pv_event_u64(&e, (uint64_t)getpid());
    pv_event_bytes(&e, measurement, PV_HASH_BYTES);
    return pv_producer_emit(p, &e, err);
}

int pv_producer_open(struct pv_producer **ret, int ring_fd, int bell_fd,
                     const struct pv_domain_id *domain, const uint8_t seed[PV_KEY_BYTES],
                     const char *name, const uint8_t measurement[PV_HASH_BYTES], struct pv_err *err)
{
    PV_TRY(pv_crypto_init(err));
    PV_CLEANUP(free_producer) struct pv_producer *p = calloc(1, sizeof *p);
    if (!p)
        return pv_fail(err, ENOMEM, "allocate a producer");
    p->bell_fd = -1;
    p->domain = *domain;
    pv_buf_init(&p->scratch, PV_EVENT_MAX);
    /* Nor does a key reach the swap; core dumps are off (supervisor and privilege.c). */
    if (mlock(p, sizeof *p) < 0)
        return pv_fail(err, errno, "lock the ratchet of '%s' in memory", name);
    pv_ratchet_init(&p->ratchet, seed);
    p->epoch_since_ns = pv_now_mono_ns();
    int rc = pv_ring_map(ring_fd, &p->ring, err);
    if (rc < 0)
        return pv_wrap(err, rc, "open the ring of '%s'", name);
    if (atomic_load(&p->ring.header->head) != 0)
        return pv_refuse(err, EBUSY, "the ring of '%s' was used before", name);
    p->bell_fd = bell_fd;
    rc = emit_open(p, name, measurement, err);
    if (rc < 0) {
        p->bell_fd = -1; /* stays the caller's */
        return pv_wrap(err, rc, "open the domain of '%s'", name);
    }
    /* The mapping is all that is needed; without the descriptor nothing here can shrink the file
     * under the auditor's feet. */
    (void)close(ring_fd);
    *ret = PV_TAKE_PTR(p);
    return 0;
}

static uint64_t used_bytes(const struct pv_producer *p)
{
    uint64_t head = atomic_load_explicit(&p->ring.header->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&p->ring.header->tail, memory_order_acquire);
    return head - tail > PV_RING_BYTES ? PV_RING_BYTES : head - tail;
}

size_t pv_producer_space(const struct pv_producer *p)
{
    return PV_RING_BYTES - used_bytes(p);
}

/* Bytes from head to where the record must start: 0, or the rest of the area when it does not fit
 * there in one piece. */
static uint64_t skip_bytes(uint64_t head, uint64_t record)
{
    uint64_t to_end = PV_RING_BYTES - (head & (PV_RING_BYTES - 1));
    return to_end < record ? to_end : 0;
}

static void put_length(uint8_t *at, uint32_t len)
{
    memcpy(at, &len, sizeof len); /* host order: a ring never leaves its machine */
}

static void ring_bell(struct pv_producer *p)
{
    uint64_t one = 1;
    if (p->bell_fd >= 0 && write(p->bell_fd, &one, sizeof one) < 0) {
        /* EAGAIN: the counter is at its ceiling, so the auditor is being woken already. */
    }
}

void pv_producer_flush(struct pv_producer *p)
{
    /* Pairs with the consumer's store of sleeping and load of head: one of the two sees the other.
     */
    atomic_thread_fence(memory_order_seq_cst);
    if (used_bytes(p) == 0)
        return; /* nothing to wake anybody for */
    if (atomic_load_explicit(&p->ring.header->sleeping, memory_order_relaxed) &&
        atomic_exchange(&p->ring.header->sleeping, 0))
        ring_bell(p);
}

static int put_event(struct pv_producer *p, struct pv_event *e, struct pv_err *err)
{
    e->domain = p->domain;
    e->epoch = p->ratchet.epoch;
    e->dseq = p->ratchet.index;
    pv_buf_reset(&p->scratch);
    PV_TRY(pv_event_encode(e, &p->scratch, err));

    uint64_t head = atomic_load_explicit(&p->ring.header->head, memory_order_relaxed);
    size_t len = p->scratch.len + PV_TAG_BYTES;
    uint64_t record = pv_ring_record_bytes(len), skip = skip_bytes(head, record);
    if (skip + record > PV_RING_BYTES - used_bytes(p)) {
        pv_producer_flush(p);
        return pv_refuse(err, EAGAIN, "the ring to the auditor is full");
    }
    if (skip)
        put_length(p->ring.data + (head & (PV_RING_BYTES - 1)), PV_RING_WRAP);
    uint8_t *at = p->ring.data + ((head + skip) & (PV_RING_BYTES - 1));
    put_length(at, (uint32_t)len);
    memcpy(at + PV_RING_LENGTH_BYTES, p->scratch.data, p->scratch.len);
    pv_ratchet_tag(&p->ratchet, p->scratch.data, p->scratch.len,
                   at + PV_RING_LENGTH_BYTES + p->scratch.len);
    atomic_store_explicit(&p->ring.header->head, head + skip + record, memory_order_release);
    if (pv_kind_is_critical(e->kind)) {
        atomic_store(&p->ring.header->sleeping, 0);
        ring_bell(p);
    } else {
        pv_producer_flush(p);
    }
    return 0;
}

/* A new epoch begins once the one before this lies under a checkpoint, so that the auditor never
 * has more than one key of a domain to disclose. */
static bool epoch_is_due(const struct pv_producer *p)
{
    uint64_t n = p->ratchet.index - p->ratchet.first;
    if (n == 0 || pv_producer_signed_dseq(p) < p->ratchet.first)
        return false;
    return n >= PV_EPOCH_EVENTS ||
           pv_now_mono_ns() - p->epoch_since_ns >= PV_EPOCH_MS * PV_NS_PER_MS;
}

static int end_epoch(struct pv_producer *p, struct pv_err *err)
{
    uint8_t next[PV_HASH_BYTES];
    struct pv_event e;
    pv_ratchet_next_commitment(&p->ratchet, next);
    pv_event_init(&e, PV_K_EPOCH_END, NULL);
    pv_event_bytes(&e, next, sizeof next);
    PV_TRY(put_event(p, &e, err));
    pv_ratchet_next_epoch(&p->ratchet);
    p->epoch_since_ns = pv_now_mono_ns();
    return 0;
}

int pv_producer_emit(struct pv_producer *p, struct pv_event *e, struct pv_err *err)
{
    if (epoch_is_due(p))
        PV_TRY(end_epoch(p, err));
    return put_event(p, e, err);
}

uint64_t pv_producer_next_dseq(const struct pv_producer *p)
{
    return p->ratchet.index;
}

uint64_t pv_producer_signed_dseq(const struct pv_producer *p)
{
    return atomic_load_explicit(&p->ring.header->signed_dseq, memory_order_acquire);
}

_Atomic uint64_t *pv_producer_unrecorded(struct pv_producer *p)
{
    return &p->ring.header->unrecorded;
}

void pv_producer_close(struct pv_producer *p, const char *reason)
{
    if (!p)
        return;
    struct pv_event e;
    struct pv_err ignored = PV_ERR_INIT;
    pv_event_init(&e, PV_K_DOMAIN_CLOSE, NULL);
    pv_event_bytes(&e, p->domain.bytes, sizeof p->domain.bytes);
    pv_event_text(&e, reason);
    if (pv_producer_emit(p, &e, &ignored) == 0)
        pv_producer_flush(p);
    free_producer(p);
}
