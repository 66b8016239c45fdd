#include "memory/tables.h"

#include <sys/mman.h>

enum { LEVELS = 4, BITS_PER_LEVEL = 9, ENTRIES = 512 };

#define LINK (PV_PTE_PRESENT | PV_PTE_WRITE | PV_PTE_USER | PV_PTE_ACCESSED | PV_PTE_DIRTY)

static unsigned index_at(uint64_t va, int level)
{
    return (unsigned)(va >> (PV_PAGE_SHIFT + BITS_PER_LEVEL * (level - 1))) % ENTRIES;
}

/* Names the table of a level that serves va: what it serves, and the level in bits that are 0. */
static uint64_t key_of(uint64_t va, int level)
{
    unsigned shift = (unsigned)(PV_PAGE_SHIFT + BITS_PER_LEVEL * level);

    return (va >> shift << shift) | (unsigned)level;
}

static uint64_t *walk(const struct pv_memory *m, uint64_t va, int *ret_level)
{
    uint64_t table = PV_PT_ROOT;
    int level = LEVELS;

    for (;; level--) {
        uint64_t *entry = (uint64_t *)pv_memory_at(m, table) + index_at(va, level);
        *ret_level = level;
        if (level == 1 || !(*entry & PV_PTE_PRESENT))
            return entry;
        table = *entry & PV_PTE_ADDRESS;
    }
}

uint64_t *pv_tables_find(const struct pv_memory *m, uint64_t va)
{
    int level;
    uint64_t *entry = walk(m, va, &level);

    return level == 1 ? entry : NULL;
}

uint64_t *pv_tables_make(struct pv_memory *m, uint64_t va)
{
    for (;;) {
        int level;
        uint64_t *entry = walk(m, va, &level);

        if (level == 1)
            return entry;
        uint64_t table = pv_memory_table(m, key_of(va, level - 1));
        if (!table)
            return NULL;
        *entry = table | LINK;
    }
}

uint64_t pv_tables_next(const struct pv_memory *m, uint64_t va)
{
    int level;

    (void)walk(m, va, &level);
    if (level == 1)
        level = 2; /* the entry is there, and so is the rest of its table */
    uint64_t span = 1ull << (PV_PAGE_SHIFT + BITS_PER_LEVEL * (level - 1));
    return (va / span + 1) * span;
}

int pv_tables_identity(struct pv_memory *m, uint64_t at, uint64_t bits, struct pv_err *err)
{
    uint64_t *entry = pv_tables_make(m, at);

    if (!entry)
        return pv_fail(err, ENOMEM, "map the monitor's pages");
    *entry = at | bits | PV_PTE_ACCESSED | PV_PTE_DIRTY;
    return 0;
}

uint64_t pv_tables_bits(int prot)
{
    uint64_t bits = PV_PTE_PRESENT | PV_PTE_USER | PV_PTE_ACCESSED;

    if (!(prot & (PROT_READ | PROT_WRITE | PROT_EXEC)))
        return 0;
    if (prot & PROT_WRITE)
        bits |= PV_PTE_WRITE | PV_PTE_DIRTY;
    if (!(prot & PROT_EXEC))
        bits |= PV_PTE_NX;
    return bits;
}

static bool forbids_more(uint64_t old, uint64_t new)
{
    if (!(old & PV_PTE_PRESENT))
        return false;
    if (!(new &PV_PTE_PRESENT) || (old & PV_PTE_ADDRESS) != (new &PV_PTE_ADDRESS))
        return true;
    return ((old & PV_PTE_WRITE) && !(new &PV_PTE_WRITE)) ||
           (!(old & PV_PTE_NX) && (new &PV_PTE_NX));
}

void pv_tables_set(struct pv_memory *m, uint64_t *entry, uint64_t value)
{
    uint64_t old = *entry;
    uint64_t at;

    if (old == value)
        return;
    *entry = value;
    if (forbids_more(old, value)) {
        at = old & PV_PTE_ADDRESS;
        pv_ranges_add(&m->now, at, at + PV_PAGE);
    }
    if (m->clone && (value & PV_PTE_PRESENT)) {
        at = value & PV_PTE_ADDRESS;
        pv_ranges_add(&m->reset, at, at + PV_PAGE);
    }
}
