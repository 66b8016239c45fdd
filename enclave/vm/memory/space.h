/* The program's address space: areas as in Linux, and what they map to.
 *
 * Addresses are the guest's, byte lengths are rounded up to pages as in Linux. Small areas get
 * their frames at once, large ones at the first touch, a few pages at a time. */
#pragma once
#include "memory/tables.h"

#include <stdio.h>

enum { PV_AREAS_MAX = 16384, PV_AREA_NAMES_MAX = 256, PV_AREA_NAME_BYTES = 128 };

struct pv_area {
    uint64_t start, end;
    uint64_t offset;   /* within the file; 0 for none */
    uint64_t dev, ino; /* the file, where it is one of the host's; else 0 */
    uint16_t name;     /* index of its name, 0: none */
    uint8_t prot;
    bool shared;
    bool file; /* a file's contents, whether or not there was room for its name */
};

struct pv_space {
    struct pv_memory *memory; /* borrowed */
    struct pv_area *areas;    /* owned, sorted, apart */
    unsigned n_areas, cap_areas;
    char (*names)[PV_AREA_NAME_BYTES]; /* owned; [0] is "" */
    unsigned n_names;
    uint64_t brk_start, brk;
    uint64_t brk_mapped; /* the heap's memory reaches so far, past brk where it was mapped ahead */
    bool out_of_memory;  /* a page that was promised could not be given */
    bool changed;        /* since the snapshot */
    uint64_t faults;     /* pages given at a touch, in steps */
};

/* What a new mapping is. */
struct pv_mapping {
    uint64_t at, len;
    int prot, flags;  /* PROT_*, MAP_* */
    bool file;        /* the contents are a file's, which the caller fills in */
    const char *name; /* as /proc/self/maps shows it; "" for none */
    uint64_t offset;
    uint64_t dev, ino; /* a file of the host's, which nobody changes; else 0 */
};

PV_MUST_CHECK int pv_space_init(struct pv_space *s, struct pv_memory *m, struct pv_err *err);
void pv_space_done(struct pv_space *s);
/* Makes s (initialised over its own memory) what from is; cheap when it has not changed since. */
PV_MUST_CHECK int pv_space_copy(struct pv_space *s, const struct pv_space *from,
                                struct pv_err *err);

/* Each returns an address or 0, or -errno as the system call of that name. Contents of a file are
 * the caller's to fill in. */
int64_t pv_space_map(struct pv_space *s, const struct pv_mapping *what);
int64_t pv_space_unmap(struct pv_space *s, uint64_t at, uint64_t len);
/* Whether the new mapping's contents lie at its place already: of the same file, and never written
 * since. Dynamic loaders map a library as a whole and then its parts over that. A change of
 * protection is then all that is left to do. */
bool pv_space_holds(const struct pv_space *s, const struct pv_mapping *what);
int64_t pv_space_protect(struct pv_space *s, uint64_t at, uint64_t len, int prot);
int64_t pv_space_remap(struct pv_space *s, uint64_t at, uint64_t old_len, uint64_t len, int flags,
                       uint64_t to);
int64_t pv_space_brk(struct pv_space *s, uint64_t to);
/* Maps the heap's next len bytes before they are asked for; what does not fit is left out. */
void pv_space_brk_ahead(struct pv_space *s, uint64_t len);
/* MADV_DONTNEED: private anonymous pages read as zero again. */
int64_t pv_space_discard(struct pv_space *s, uint64_t at, uint64_t len);
/* Whether every page of the range belongs to an area. */
bool pv_space_covers(const struct pv_space *s, uint64_t at, uint64_t len);

/* The area of an address, or NULL. */
const struct pv_area *pv_space_area(const struct pv_space *s, uint64_t at);
/* Gives the page its frame if the area allows that access (PROT_READ, PROT_WRITE or PROT_EXEC):
 * true when the program may try again. */
bool pv_space_touch(struct pv_space *s, uint64_t at, int access);
/* Writes /proc/self/maps as text: the length it has, of which at most cap bytes were written. */
size_t pv_space_maps(const struct pv_space *s, char *out, size_t cap);
/* Sum of the areas' lengths in bytes. */
uint64_t pv_space_bytes(const struct pv_space *s);
