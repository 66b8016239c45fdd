/* One record into one event. Trusts nothing in the bytes. */
#pragma once
#include "pv/bpf_record.h"
#include "pv/event.h"

#include <stddef.h>

/* Room for the texts that an event borrows. */
struct pv_probe_texts {
    char a[PV_BPF_TEXT_MAX + 512];
    char b[PV_BPF_TEXT_MAX + 512];
};

/* Records of that CPU from number first on were lost. */
void pv_probe_gap(uint32_t cpu, uint64_t first, uint64_t count, struct pv_event *ret);
/* real_minus_boot converts times. rec must be 8-byte aligned. The event borrows from rec and texts.
 * -EBADMSG for what is no record. */
PV_MUST_CHECK int pv_probe_translate(const void *rec, size_t len, int64_t real_minus_boot,
                                     struct pv_probe_texts *texts, struct pv_event *ret,
                                     struct pv_err *err);
