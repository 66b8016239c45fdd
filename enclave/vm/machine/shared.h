/* The page that the shim at the system call entry works with. The guest can write all of it: the
 * monitor takes nothing from it without bounds. Offsets are used by machine/shim.S. */
#pragma once
#include "memory/layout.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* What the shim may answer by itself. */
enum {
    PV_SHIM_READ = 1,   /* read of descriptor 0 from the request buffer */
    PV_SHIM_WRITE = 2,  /* write and writev to descriptor 1 into the response buffer */
    PV_SHIM_STAT = 4,   /* fstat and TCGETS of descriptors 0 to 2 */
    PV_SHIM_CLOCK = 8,  /* clock_gettime, gettimeofday */
    PV_SHIM_BRK = 16,   /* brk within memory that is mapped already */
    PV_SHIM_IDS = 32,   /* getpid, gettid, getuid and kin */
    PV_SHIM_RANDOM = 64 /* getrandom out of bytes drawn for this run */
};
enum { PV_SHIM_RANDOM_BYTES = 64 };

struct pv_shared {
    uint32_t mode, pad;
    uint64_t request_len, request_at; /* within the request buffer */
    uint64_t response_len, response_max;
    uint64_t tid;
    uint32_t uid, gid;
    uint64_t brk, brk_end; /* brk may move up to brk_end */
    /* time in ns = base + ((tsc - tsc_base) * scale >> 32) */
    uint64_t tsc_base, scale, monotonic, realtime;
    uint64_t served; /* calls answered */
    uint64_t random_at;
    uint8_t random[PV_SHIM_RANDOM_BYTES];
    uint64_t save_rsp, save_rcx, save_rdi, save_rsi, save_rdx, save_rbx; /* registers of the call */
    struct stat stat[3];                                                 /* of descriptors 0 to 2 */
};
_Static_assert(offsetof(struct pv_shared, request_len) == 8, "shim.S");
_Static_assert(offsetof(struct pv_shared, response_len) == 24, "shim.S");
_Static_assert(offsetof(struct pv_shared, tid) == 40, "shim.S");
_Static_assert(offsetof(struct pv_shared, brk) == 56, "shim.S");
_Static_assert(offsetof(struct pv_shared, tsc_base) == 72, "shim.S");
_Static_assert(offsetof(struct pv_shared, served) == 104, "shim.S");
_Static_assert(offsetof(struct pv_shared, random) == 120, "shim.S");
_Static_assert(offsetof(struct pv_shared, save_rsp) == 184, "shim.S");
_Static_assert(offsetof(struct pv_shared, stat) == 232 && sizeof(struct stat) == 144, "shim.S");
_Static_assert(sizeof(struct pv_shared) <= PV_PAGE - 256, "the page's end is the shim's stack");
