/* Many rows into one table: a statement takes several at once, which costs much less than as many
 * statements. */
#pragma once
#include "db.h"

enum { PV_INSERT_ROWS = 24 };

struct pv_insert {
    sqlite3_stmt *one, *many;
    int columns;
};
/* Binds the columns of row i at at, at + 1, …; what it points to lives until all are written. */
typedef void (*pv_insert_bind)(sqlite3_stmt *st, int at, const void *rows, size_t i);

/* head: "INSERT INTO table", "INSERT OR IGNORE INTO table". */
PV_MUST_CHECK int pv_insert_prepare(struct pv_insert *in, sqlite3 *db, const char *head,
                                    int columns, struct pv_err *err);
void pv_insert_done(struct pv_insert *in);
PV_MUST_CHECK int pv_insert_rows(const struct pv_insert *in, pv_insert_bind bind, const void *rows,
                                 size_t n, struct pv_err *err);
