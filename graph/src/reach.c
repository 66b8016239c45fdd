/* A set of node ids that keeps the order of adding: visited set and queue of a traversal in one. */
#include "graph_core.h"

#include <stdlib.h>

struct item {
    uint64_t id;
    uint32_t depth;
};
/* Open addressing over indices into items; ids are our own small integers, so multiplication by a
 * constant spreads them well enough. */
struct pv_reach {
    struct item *items;
    size_t n, cap;
    uint32_t *slots; /* index + 1, 0: free */
    size_t mask;
};

static size_t slot_of(const struct pv_reach *r, uint64_t id)
{
    size_t i = (size_t)(id * 0x9e3779b97f4a7c15ull >> 20) & r->mask;
    while (r->slots[i] && r->items[r->slots[i] - 1].id != id)
        i = (i + 1) & r->mask;
    return i;
}

static int grow(struct pv_reach *r, struct pv_err *err)
{
    size_t cap = r->cap ? r->cap * 2 : 256;
    struct item *items = reallocarray(r->items, cap, sizeof *items);
    if (!items)
        return pv_fail(err, ENOMEM, "allocate an answer");
    r->items = items;
    uint32_t *slots = calloc(cap * 2, sizeof *slots);
    if (!slots)
        return pv_fail(err, ENOMEM, "allocate an answer");
    free(r->slots);
    r->slots = slots;
    r->cap = cap;
    r->mask = cap * 2 - 1;
    for (size_t i = 0; i < r->n; i++)
        r->slots[slot_of(r, r->items[i].id)] = (uint32_t)i + 1;
    return 0;
}

int pv_reach_new(struct pv_reach **ret, struct pv_err *err)
{
    struct pv_reach *r = calloc(1, sizeof *r);
    if (!r)
        return pv_fail(err, ENOMEM, "allocate an answer");
    int rc = grow(r, err);
    if (rc < 0) {
        pv_reach_free(r);
        return rc;
    }
    *ret = r;
    return 0;
}

void pv_reach_free(struct pv_reach *r)
{
    if (!r)
        return;
    free(r->items);
    free(r->slots);
    free(r);
}

int pv_reach_add(struct pv_reach *r, uint64_t id, uint32_t depth, struct pv_err *err)
{
    if (r->n == r->cap)
        PV_TRY(grow(r, err));
    size_t at = slot_of(r, id);
    if (r->slots[at])
        return 0;
    r->items[r->n] = (struct item){id, depth};
    r->slots[at] = (uint32_t)++r->n;
    return 1;
}

bool pv_reach_has(const struct pv_reach *r, uint64_t id)
{
    return r->slots[slot_of(r, id)] != 0;
}

size_t pv_reach_count(const struct pv_reach *r)
{
    return r->n;
}

uint64_t pv_reach_at(const struct pv_reach *r, size_t i)
{
    return r->items[i].id;
}

uint32_t pv_reach_depth(const struct pv_reach *r, size_t i)
{
    return r->items[i].depth;
}
