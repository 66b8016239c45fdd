/* Which pages of a private mapping have been written: these are no longer the file's. */
#pragma once
#include "pv/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { PV_PAGES_REGIONS = 512 };

struct pv_pages {
    unsigned n;
    struct pv_pages_region {
        uint64_t start, end; /* host addresses */
        uint64_t categories; /* as the kernel reports them */
    } v[PV_PAGES_REGIONS];
};

/* Opens what the others read, which a process that has changed its user may no longer do. */
PV_MUST_CHECK int pv_pagemap_open(struct pv_err *err);
/* Finds written pages of the calling process from start on; *ret_next is where to go on, end when
 * there are no more. By PAGEMAP_SCAN (Linux 6.7) or, where the kernel lacks it, by reading
 * /proc/self/pagemap. Any thread. */
PV_MUST_CHECK int pv_pagemap_look(uint64_t start, uint64_t end, struct pv_pages *ret,
                                  uint64_t *ret_next, struct pv_err *err);
/* As look, but always by reading: for tests. */
PV_MUST_CHECK int pv_pagemap_read(uint64_t start, uint64_t end, struct pv_pages *ret,
                                  uint64_t *ret_next, struct pv_err *err);
/* Page faults of the calling thread so far, those included that KVM has for it and that copy_to_user
 * has; false: not known. */
bool pv_pagemap_faults(uint64_t *ret);
