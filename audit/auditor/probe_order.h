/* The records of both rings in one order: by time, then CPU, then sequence number. Within a ring
 * they stand nearly so (space is reserved before the time is taken), between rings not at all: each
 * ring's are put in order, and the first of either is the next. A record is handed out once no
 * earlier one can come any more, or when WINDOW records of a ring wait. */
#pragma once
#include "probe_ring.h"
#include "pv/bpf_record.h"

enum { PV_PROBE_RINGS = 2, PV_PROBE_WINDOW = 4096 };

struct pv_probe_item {
    const struct pv_bpf_head *head;
    uint32_t len;
    uint32_t ring;
    uint64_t place; /* in that ring's line */
};
/* Read from one ring and not yet free to be overwritten. */
struct pv_probe_line {
    uint64_t first, next;          /* places; first: the earliest that was not handed out */
    uint64_t end[PV_PROBE_WINDOW]; /* of the record at a place, as a position of the ring */
    bool done[PV_PROBE_WINDOW];
    uint64_t free_pos;                            /* everything before it was handed out */
    uint64_t last_ns;                             /* time of the record read last */
    struct pv_probe_item sorted[PV_PROBE_WINDOW]; /* what waits: from head to tail, modulo WINDOW */
    uint64_t head, tail;
};
struct pv_probe_order {
    struct pv_probe_ring ring[PV_PROBE_RINGS];
    struct pv_probe_line line[PV_PROBE_RINGS];
    uint64_t bound_ns; /* nothing earlier is to come */
    uint64_t now_ns;   /* when the rings were looked at */
    bool is_full;      /* a line is: what is first goes out */
    bool all_read;     /* nothing waited in any ring when it was looked at */
};

void pv_probe_order_init(struct pv_probe_order *o);
/* Reads what is there. What is not even a record of a known CPU is -EBADMSG, and passed. now_ns:
 * the boot clock, read before the call. */
PV_MUST_CHECK int pv_probe_order_fill(struct pv_probe_order *o, uint64_t now_ns, uint32_t n_cpus,
                                      struct pv_err *err);
/* The next record, or NULL; it stays the next until taken. */
const struct pv_probe_item *pv_probe_order_peek(const struct pv_probe_order *o);
/* item: what was looked at last. */
void pv_probe_order_take(struct pv_probe_order *o, const struct pv_probe_item *item);
/* Frees the space of what was taken. */
void pv_probe_order_release(struct pv_probe_order *o);
/* Nothing is in the rings that was not taken. */
bool pv_probe_order_is_empty(const struct pv_probe_order *o);
