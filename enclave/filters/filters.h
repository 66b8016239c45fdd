/* The system call filters that are compiled when Provost is built: libseccomp takes 4 ms for both,
 * which every deployment would wait for. The kernel takes what it makes of them as it is. */
#pragma once

#include <errno.h>
#include <seccomp.h>
#include <stddef.h>

#define COUNT(list) (sizeof(list) / sizeof *(list))

/* Adds one action for each name; one that libseccomp does not know is skipped. 0 or -errno. */
int add_names(scmp_filter_ctx ctx, uint32_t action, const char *const *names, size_t n);

/* Fill an empty filter. 0 or -errno. */
int pv_make_base_filter(scmp_filter_ctx ctx);
int pv_make_seal_filter(scmp_filter_ctx ctx);
