/* Two graphs, row by row. */
#pragma once
#include "db.h"

struct pv_difference {
    char table[16];
    char row[96];
    bool missing; /* the row is in b only */
};
/* 1 = they differ and *ret names the first row, 0 = the same but for events and checkpoints. */
PV_MUST_CHECK int pv_compare_derived(sqlite3 *a, sqlite3 *b, struct pv_difference *ret,
                                     struct pv_err *err);
