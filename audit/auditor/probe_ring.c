#include "probe_ring.h"

#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

int pv_probe_ring_map(struct pv_probe_ring *r, int map_fd, size_t size, struct pv_err *err)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    void *consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, map_fd, 0);

    if (consumer == MAP_FAILED)
        return pv_fail(err, errno, "map the consumer page of the probes' ring");
    void *producer = mmap(NULL, page + 2 * size, PROT_READ, MAP_SHARED, map_fd, (off_t)page);
    if (producer == MAP_FAILED) {
        int saved = errno;

        (void)munmap(consumer, page);
        return pv_fail(err, saved, "map the data of the probes' ring");
    }
    *r = (struct pv_probe_ring){
        .consumer = consumer, .producer = producer, .size = size, .page = page};
    r->pos = __atomic_load_n((const uint64_t *)consumer, __ATOMIC_ACQUIRE);
    return 0;
}

const void *pv_probe_ring_next(struct pv_probe_ring *r, size_t *ret_len)
{
    uint64_t end = __atomic_load_n((const uint64_t *)(const void *)r->producer, __ATOMIC_ACQUIRE);

    while (r->pos < end) {
        const uint8_t *rec = r->producer + r->page + (r->pos & (r->size - 1));
        uint32_t head = __atomic_load_n((const uint32_t *)(const void *)rec, __ATOMIC_ACQUIRE);
        size_t len = head & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);

        if (head & BPF_RINGBUF_BUSY_BIT)
            return NULL;
        r->pos += (len + BPF_RINGBUF_HDR_SZ + 7) & ~(uint64_t)7;
        if (head & BPF_RINGBUF_DISCARD_BIT)
            continue;
        *ret_len = len;
        return rec + BPF_RINGBUF_HDR_SZ;
    }
    return NULL;
}

bool pv_probe_ring_is_empty(const struct pv_probe_ring *r)
{
    return __atomic_load_n((const uint64_t *)(const void *)r->producer, __ATOMIC_ACQUIRE) == r->pos;
}

uint64_t pv_probe_ring_waiting(const struct pv_probe_ring *r)
{
    uint64_t end = __atomic_load_n((const uint64_t *)(const void *)r->producer, __ATOMIC_ACQUIRE);

    return end - __atomic_load_n((const uint64_t *)(const void *)r->consumer, __ATOMIC_ACQUIRE);
}

void pv_probe_ring_release(struct pv_probe_ring *r, uint64_t pos)
{
    __atomic_store_n((uint64_t *)(void *)r->consumer, pos, __ATOMIC_RELEASE);
}

void pv_probe_ring_unmap(struct pv_probe_ring *r)
{
    if (r->consumer)
        (void)munmap(r->consumer, r->page);
    if (r->producer)
        (void)munmap((void *)(uintptr_t)r->producer, r->page + 2 * r->size);
    *r = (struct pv_probe_ring){0};
}
