#include "producers.h"

#include <stdlib.h>
#include <sys/mman.h>

struct producer *producers_find(struct producers *p, const struct pv_domain_id *id)
{
    struct producer *found = NULL;
    HASH_FIND(hh, p->head, id->bytes, sizeof id->bytes, found);
    return found;
}

struct producer *producers_get(struct producers *p, const struct pv_domain_id *id)
{
    struct producer *found = producers_find(p, id);
    if (found)
        return found;
    found = calloc(1, sizeof *found);
    if (!found)
        return NULL;
    (void)mlock(found, sizeof *found); /* where the limit allows: the keys are in a file as well */
    found->id = *id;
    found->slot = PRODUCER_NO_SLOT;
    HASH_ADD(hh, p->head, id.bytes, sizeof found->id.bytes, found);
    return found;
}

void producers_remove(struct producers *p, struct producer *gone)
{
    HASH_DEL(p->head, gone);
    pv_ring_reader_free(gone->ring);
    chain_done(&gone->chain);
    free(gone);
}

void producers_done(struct producers *p)
{
    struct producer *at, *next;
    HASH_ITER(hh, p->head, at, next)
    {
        producers_remove(p, at);
    }
}
