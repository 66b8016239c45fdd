/* The sorted list of areas: where one is, where there is room, cutting and joining. Knows nothing
 * of page tables. */
#pragma once
#include "memory/space.h"

/* Index of the first area that ends behind at (n_areas when there is none). */
unsigned pv_areas_from(const struct pv_space *s, uint64_t at);
/* Whether no area overlaps the range. */
bool pv_areas_free(const struct pv_space *s, uint64_t start, uint64_t end);
/* An address with room for len bytes, as high as possible below top; 0 when there is none. */
uint64_t pv_areas_room(const struct pv_space *s, uint64_t len, uint64_t top);
/* Takes the range out of every area; -ENOMEM when a cut would make one area too many. */
PV_MUST_CHECK int pv_areas_cut(struct pv_space *s, uint64_t start, uint64_t end);
/* Adds an area to a free range, joined with its neighbours where they are alike; -ENOMEM. */
PV_MUST_CHECK int pv_areas_add(struct pv_space *s, const struct pv_area *a);
/* Cuts an area that reaches across at into two; -ENOMEM. Afterwards the two may be made unlike. */
PV_MUST_CHECK int pv_areas_split(struct pv_space *s, uint64_t at);
/* Joins neighbours that are alike, from the one before index first to the one behind last. */
void pv_areas_join(struct pv_space *s, unsigned first, unsigned last);
/* Where the gapless run of areas that holds start ends, at most end; start when that is free. */
uint64_t pv_areas_covered(const struct pv_space *s, uint64_t start, uint64_t end);
/* Whether the area's offset counts: it is part of something that has places. */
bool pv_areas_counts(const struct pv_area *a);
/* Index of the name, making it; 0 when there is no room. */
uint16_t pv_areas_name(struct pv_space *s, const char *name);
