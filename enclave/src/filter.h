/* Loading a system call filter that was compiled when Provost was built (filters/). */
#pragma once
#include "pv/err.h"

#include <linux/filter.h>
#include <stddef.h>

/* rules: borrowed. flags: SECCOMP_FILTER_FLAG_*. Takes the right to gain privileges (no_new_privs)
 * from the calling thread; with SECCOMP_FILTER_FLAG_TSYNC from all threads. */
PV_MUST_CHECK int pv_filter_load(const struct sock_filter *rules, size_t n, unsigned flags,
                                 struct pv_err *err);
