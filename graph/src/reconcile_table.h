/* What pv_reconcile remembers: tables of one kind of row, in the order in which the rows were made,
 * the oldest of which go when there are too many. */
#pragma once
#include "keyed_hash.h"
#include "pv/err.h"
#include "pv/id.h"

#include <stdbool.h>

struct rec_key {
    uint64_t a, b, c;
    uint8_t call[16];
};
_Static_assert(sizeof(struct rec_key) == 40, "no padding: hashed as bytes");

/* Each table uses some of the fields. */
struct rec_row {
    struct rec_key key;
    UT_hash_handle hh;
    uint64_t first;   /* the entry that made it */
    uint64_t side[2]; /* pairs: entry of the inside's and of the outside's half, plus 1 */
    uint64_t domain, pid, ticks, number;
    uint64_t denied[2]; /* domains: connections to each broker that it has turned away */
    struct pv_call_id call;
    bool is_vm, watched, died, executed;
    char text[80]; /* a name or path, cut */
};
struct rec_table {
    struct rec_row *rows; /* owned */
    unsigned max;
};

static inline struct rec_key rec_key(uint64_t a, uint64_t b, uint64_t c)
{
    return (struct rec_key){a, b, c, {0}};
}
struct rec_row *rec_find(const struct rec_table *t, const struct rec_key *key);
/* Finds or makes a row; *ret_new says which. */
PV_MUST_CHECK int rec_get(struct rec_table *t, const struct rec_key *key, struct rec_row **ret,
                          bool *ret_new, struct pv_err *err);
void rec_drop(struct rec_table *t, struct rec_row *row);
void rec_clear(struct rec_table *t);
