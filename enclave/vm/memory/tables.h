/* The guest's page tables, written by the host only: they are mapped nowhere in the guest. */
#pragma once
#include "memory/memory.h"

/* Bits of an entry (AMD64 manual vol. 2, 5.3; Intel SDM vol. 3, 4.5). A and D are set at once, so
 * that the machine has no reason to write to a table. */
#define PV_PTE_PRESENT 0x1ull
#define PV_PTE_WRITE 0x2ull
#define PV_PTE_USER 0x4ull
#define PV_PTE_ACCESSED 0x20ull
#define PV_PTE_DIRTY 0x40ull
#define PV_PTE_FRAME (1ull << 9) /* ours: a frame is assigned, whether or not it can be reached */
#define PV_PTE_NX (1ull << 63)
#define PV_PTE_ADDRESS 0x000ffffffffff000ull

/* The entry of a virtual address below PV_USER_MAX; NULL when no table reaches so far. */
uint64_t *pv_tables_find(const struct pv_memory *m, uint64_t va);
/* As find, making tables on the way; NULL when there is no room for them. */
uint64_t *pv_tables_make(struct pv_memory *m, uint64_t va);
/* Where find may answer otherwise: the end of the 2 MiB that the entry's table serves, or of all
 * the addresses for which the table is missing. So a walk over a range takes as long as there are
 * tables, not addresses. */
uint64_t pv_tables_next(const struct pv_memory *m, uint64_t va);
/* Maps a monitor page at its own physical address. */
PV_MUST_CHECK int pv_tables_identity(struct pv_memory *m, uint64_t at, uint64_t bits,
                                     struct pv_err *err);
/* The bits for PROT_*: PROT_NONE gives an entry that is not present. */
uint64_t pv_tables_bits(int prot);
/* Writes an entry and notes what the machine must forget: at once where the new entry allows less
 * than the old one or leads elsewhere, at the reset where a clone has changed it. */
void pv_tables_set(struct pv_memory *m, uint64_t *entry, uint64_t value);
