/* Loading and pinning: the programs outlive the auditor. */
#pragma once
#include "pv/bpf_record.h"
#include "pv/err.h"

#include <stdbool.h>

struct pv_probe_maps {
    int ring;
    int critical;
    int roots;
    int cpus;
    int held;
    int watch; /* makes iterators that look for threads to be watched; -1: none can */
    struct pv_bpf_meta meta;
    bool reused;
};

/* Size of the second ring for that of the first. */
uint32_t pv_probe_critical_bytes(uint32_t ring_bytes);
void pv_probe_maps_close(struct pv_probe_maps *m);

/* Finds the pins of this build and ring size, or loads, attaches and pins anew. The caller owns the
 * descriptors. */
PV_MUST_CHECK int pv_probe_pins_open(struct pv_probe_maps *ret, const char *dir,
                                     uint32_t ring_bytes, struct pv_err *err);
/* Ends the programs and lets those go on that they have stopped. held: the map of that name, which
 * stays the caller's, or negative. Opens nothing: also for who is confined. */
void pv_probe_pins_remove(const char *dir, int held);
