#include "reconcile_table.h"

#include <stdlib.h>

struct rec_row *rec_find(const struct rec_table *t, const struct rec_key *key)
{
    struct rec_row *row = NULL;

    HASH_FIND(hh, t->rows, key, sizeof *key, row);
    return row;
}

int rec_get(struct rec_table *t, const struct rec_key *key, struct rec_row **ret, bool *ret_new,
            struct pv_err *err)
{
    struct rec_row *row = rec_find(t, key);

    *ret_new = !row;
    *ret = row;
    if (row)
        return 0;
    if (HASH_COUNT(t->rows) >= t->max)
        rec_drop(t, t->rows);
    row = calloc(1, sizeof *row);
    if (!row)
        return pv_fail(err, ENOMEM, "compare the two accounts");
    row->key = *key;
    HASH_ADD(hh, t->rows, key, sizeof row->key, row);
    if (!row->hh.tbl) {
        free(row);
        return pv_fail(err, ENOMEM, "compare the two accounts");
    }
    *ret = row;
    return 0;
}

void rec_drop(struct rec_table *t, struct rec_row *row)
{
    HASH_DEL(t->rows, row);
    free(row);
}

void rec_clear(struct rec_table *t)
{
    while (t->rows)
        rec_drop(t, t->rows);
}
