/* The one way from a guest address to host memory, checked for rights in both directions: reads
 * need a page the program may read, writes one it may write. Addresses of the monitor's own pages
 * are faults, as are those past the end of user space. */
#pragma once
#include "memory/space.h"

#include <sys/uio.h>

/* The host's address of one guest address and in ret_len how many bytes follow it within the page;
 * NULL: the program may not (access: PROT_READ or PROT_WRITE). */
void *pv_access_at(struct pv_space *s, uint64_t va, int access, uint64_t *ret_len);
/* 0 or -EFAULT; after a fault a part may have been copied. */
int pv_copy_in(struct pv_space *s, void *to, uint64_t from, uint64_t len);
int pv_copy_out(struct pv_space *s, uint64_t to, const void *from, uint64_t len);
/* A NUL-terminated string of at most cap bytes, NUL included: its length, -EFAULT, or
 * -ENAMETOOLONG. */
int64_t pv_copy_string(struct pv_space *s, char *to, uint64_t from, uint64_t cap);
/* Turns a guest range into spans of host memory, joining neighbours. Stops at a fault, at max spans
 * or after len bytes: how many bytes the spans hold; -EFAULT when the first byte is out of reach.
 */
int64_t pv_access_spans(struct pv_space *s, uint64_t va, uint64_t len, int access,
                        struct iovec *ret, int max, int *ret_n);
/* As spans, for the monitor's own filling of a fresh mapping: rights do not matter, pages are made.
 */
int64_t pv_access_fill(struct pv_space *s, uint64_t va, uint64_t len, struct iovec *ret, int max,
                       int *ret_n);
