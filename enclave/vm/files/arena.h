/* The memory of one domain's files: one reservation in which every object is named by an offset, so
 * that a snapshot is a copy of the bytes and a reset brings back the changed pages. Objects are
 * reached as const through pv_at and as writable through pv_edit, which notes the page: what the
 * compiler lets change is what a reset restores. Pages beyond the image are zero. */
#pragma once
#include "pv/err.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Place of an object in units of PV_ARENA_UNIT bytes; 0 names nothing. */
typedef uint32_t pv_ref;
enum { PV_PAGE = 4096, PV_ARENA_UNIT = 64, PV_ARENA_CLASSES = 7 };

struct pv_image;

struct pv_arena {
    uint8_t *base; /* mapping of pages * PV_PAGE bytes */
    uint32_t pages;
    struct pv_image *image; /* owned reference; NULL before the domain is sealed or cloned */
    uint64_t *dirty;        /* bit per page: changed since the image */
    uint64_t *own;          /* bit per page: has memory of its own */
    uint32_t *changed;      /* the dirty pages, changed_n of them; room for all */
    uint32_t changed_n;
    uint32_t own_n;
    uint32_t kept_max; /* own pages that a reset keeps */
};

/* Free memory inside the arena; itself at the arena's beginning. */
struct pv_alloc {
    uint32_t next_page;                   /* first page never given out */
    uint32_t free_page;                   /* chain through the first word of a page */
    pv_ref free_object[PV_ARENA_CLASSES]; /* by size class, 64 bytes to 4096 */
};

/* Reserves bytes (rounded up to pages) and clears them; page 0 holds a struct pv_alloc at its
 * start and belongs to the caller. */
PV_MUST_CHECK int pv_arena_init(struct pv_arena *a, uint64_t bytes, uint64_t kept_bytes,
                                struct pv_err *err);
void pv_arena_done(struct pv_arena *a);
/* Copies what is in use into a sealed image, which the arena then holds. */
PV_MUST_CHECK int pv_arena_seal(struct pv_arena *a, struct pv_err *err);
/* An arena that begins as a private view of from's image. */
PV_MUST_CHECK int pv_arena_clone(const struct pv_arena *from, struct pv_arena *a,
                                 struct pv_err *err);
void pv_arena_reset(struct pv_arena *a);
/* Bytes of the image; NULL when there is none. */
const uint8_t *pv_arena_image(const struct pv_arena *a, size_t *ret_len);

/* Zeroed object of at most 4096 bytes, aligned to 64; 0 when the arena is full. */
PV_MUST_CHECK pv_ref pv_arena_new(struct pv_arena *a, size_t size);
/* size as it was allocated. */
void pv_arena_drop(struct pv_arena *a, pv_ref ref, size_t size);
/* n pages in a row, zeroed; before any page was freed only. 0 when the arena is full. */
PV_MUST_CHECK pv_ref pv_arena_run(struct pv_arena *a, uint32_t n);

void pv_arena_note(struct pv_arena *a, uint32_t page);

static inline const void *pv_at(const struct pv_arena *a, pv_ref ref)
{
#ifdef PV_SANITIZED
    assert(ref < a->pages * (PV_PAGE / PV_ARENA_UNIT));
#endif
    return a->base + (size_t)ref * PV_ARENA_UNIT;
}

/* len > 0 */
static inline void *pv_edit(struct pv_arena *a, pv_ref ref, size_t off, size_t len)
{
    size_t start = (size_t)ref * PV_ARENA_UNIT + off;

    for (size_t page = start / PV_PAGE; page <= (start + len - 1) / PV_PAGE; page++)
        if (!(a->dirty[page / 64] >> (page % 64) & 1))
            pv_arena_note(a, (uint32_t)page);
    return a->base + start;
}
