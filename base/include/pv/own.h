/* Ownership: cleanup attributes for descriptors and memory, and visible transfer. */
#pragma once
#include <stdlib.h>
#include <unistd.h>

static inline void pv_close_fd_(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
}

static inline void pv_free_ptr_(void *p)
{
    free(*(void **)p);
}

#define pv_autoclose __attribute__((cleanup(pv_close_fd_)))
#define pv_autofree __attribute__((cleanup(pv_free_ptr_)))

/* Hands the value on and leaves the guarded variable empty. */
#define PV_TAKE_FD(fd)                                                                             \
    __extension__({                                                                                \
        int pv_taken_ = (fd);                                                                      \
        (fd) = -1;                                                                                 \
        pv_taken_;                                                                                 \
    })
#define PV_TAKE_PTR(p)                                                                             \
    __extension__({                                                                                \
        __typeof__(p) pv_taken_ = (p);                                                             \
        (p) = NULL;                                                                                \
        pv_taken_;                                                                                 \
    })

/* Declares `pv_auto_NAME`, which calls FREE on a `TYPE *` at the end of its scope. */
#define PV_DEFINE_CLEANUP(type, free_fn)                                                           \
    static inline void free_fn##_cleanup_(type **p) /* NOLINT(bugprone-macro-parentheses) */       \
    {                                                                                              \
        free_fn(*p);                                                                               \
    }
#define PV_CLEANUP(free_fn) __attribute__((cleanup(free_fn##_cleanup_)))
