/* Guest-physical memory: one mapping of a memory file, its frames and what the machine must forget.
 *
 * A frame is a page of guest-physical memory given to a user page. Low frames may be written, high
 * ones never are. What a page table entry that became stricter (or vanished) allowed may still be
 * cached by the machine: shadow paging does not see a change that the host makes. The frame is
 * noted and the machine forgets it before the guest runs on (a change of protection of the host's
 * mapping makes KVM drop every translation to it). */
#pragma once
#include "memory/layout.h"
#include "pv/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PV_RANGES_MAX = 128 };

/* Ranges of physical addresses, merged where they touch. */
struct pv_ranges {
    struct pv_range {
        uint64_t start, end;
    } v[PV_RANGES_MAX];
    unsigned n;
    bool all; /* too many to keep: everything */
};
void pv_ranges_add(struct pv_ranges *r, uint64_t start, uint64_t end);

/* A page table page that was made after the snapshot. It keeps its place in this VM for good: the
 * machine may remember which table stood where. A few may be kept so without a run's having fewer
 * than the one before: so many places are put aside. A VM with more of them is given up. */
struct pv_late_table {
    uint64_t key; /* level and the address it serves */
    uint64_t at;
};
enum { PV_LATE_TABLES_MAX = 4096, PV_LATE_TABLES_KEPT = 64 };

struct pv_memory {
    uint8_t *base; /* the host's mapping, bytes long; owned */
    size_t bytes;
    int fd;     /* the memory file; owned unless a clone's */
    bool clone; /* mapped privately over a sealed file */

    uint64_t tables_next, tables_end; /* physical addresses */
    struct pv_late_table *late;       /* clones: owned */
    unsigned n_late;
    unsigned run_tables; /* clones: tables that this run has made */

    uint64_t frames_at; /* physical address of the first frame */
    uint64_t n_frames;
    uint64_t *used, *stale; /* bitmaps: in use; free, but not zero. Owned */
    uint64_t n_used;
    uint64_t low_hint, high_hint;         /* frames: where to look next */
    uint64_t low_end;                     /* no low frame at or above this one was ever used here */
    uint64_t high_floor;                  /* no high frame below this one was ever used */
    uint64_t populated, high_populated;   /* frames below, or not below, have host pages */
    bool complete; /* what is given from now on is not written before the snapshot */
    uint64_t touched_lo, touched_hi;      /* words of the bitmaps changed since the snapshot */
    const struct pv_memory_state *origin; /* clones: what reset restores; borrowed */

    struct pv_ranges now;   /* to forget before the guest runs on */
    struct pv_ranges reset; /* to forget at the reset: mapped otherwise than in the snapshot */
};

/* What an image keeps of the allocator. */
struct pv_memory_state {
    size_t bytes;
    uint64_t tables_next, tables_end, frames_at, n_frames, n_used, low_hint, high_hint;
    uint64_t low_end, high_floor;
    uint64_t *used; /* owned */
};

/* Fresh memory of that many frames in a new memory file, mapped shared. */
PV_MUST_CHECK int pv_memory_new(struct pv_memory *m, uint64_t frame_bytes, struct pv_err *err);
/* A private view of the sealed file fd (borrowed, with state, for the memory's life). */
PV_MUST_CHECK int pv_memory_clone(struct pv_memory *m, int fd, const struct pv_memory_state *state,
                                  struct pv_err *err);
/* Accepts a zeroed or half-built one. */
void pv_memory_done(struct pv_memory *m);
/* The allocator's state; free with pv_memory_state_done. */
PV_MUST_CHECK int pv_memory_state_take(const struct pv_memory *m, struct pv_memory_state *ret,
                                       struct pv_err *err);
void pv_memory_state_done(struct pv_memory_state *s);
/* Whether a clone can be what it was: false when it has made too many page tables. */
bool pv_memory_can_rewind(const struct pv_memory *m);
/* Puts the allocator back to the origin; contents are the caller's. */
void pv_memory_rewind(struct pv_memory *m);

/* A zeroed frame: its physical address, 0 when memory is used up. A clone gives low ones only: what
 * it fills has to be reset. */
uint64_t pv_memory_frame(struct pv_memory *m, bool written);
void pv_memory_release(struct pv_memory *m, uint64_t frame);
/* Whether the frame is one of those that are never written. */
bool pv_memory_is_high(const struct pv_memory *m, uint64_t frame);
/* Frames left to give. */
uint64_t pv_memory_left(const struct pv_memory *m);
/* A zeroed page for a page table that serves key: physical address, 0 when there is none. */
uint64_t pv_memory_table(struct pv_memory *m, uint64_t key);
/* Makes the machine forget what was noted. Called before the guest runs on. */
PV_MUST_CHECK int pv_memory_forget(struct pv_memory *m, struct pv_ranges *what, struct pv_err *err);

/* The host's address of a physical one. */
static inline void *pv_memory_at(const struct pv_memory *m, uint64_t physical)
{
    return m->base + physical;
}
