#include "inserts.h"

#include <stdio.h>

/* "HEAD VALUES(?,?),(?,?)" */
static int prepare(sqlite3_stmt **ret, sqlite3 *db, const char *head, int columns, int rows,
                   struct pv_err *err)
{
    char sql[1024];
    size_t len = (size_t)snprintf(sql, sizeof sql, "%s VALUES", head);

    for (int i = 0; i < rows * columns && len + 4 < sizeof sql; i++) {
        bool first = i % columns == 0, last = (i + 1) % columns == 0;
        len += (size_t)snprintf(sql + len, sizeof sql - len, "%s?%s", first ? "(" : "",
                                !last                    ? ","
                                : i + 1 < rows * columns ? "),"
                                                         : ")");
    }
    return pv_db_prepare(db, ret, sql, err);
}

int pv_insert_prepare(struct pv_insert *in, sqlite3 *db, const char *head, int columns,
                      struct pv_err *err)
{
    in->columns = columns;
    PV_TRY(prepare(&in->one, db, head, columns, 1, err));
    return prepare(&in->many, db, head, columns, PV_INSERT_ROWS, err);
}

void pv_insert_done(struct pv_insert *in)
{
    (void)sqlite3_finalize(in->one);
    (void)sqlite3_finalize(in->many);
}

int pv_insert_rows(const struct pv_insert *in, pv_insert_bind bind, const void *rows, size_t n,
                   struct pv_err *err)
{
    size_t i = 0;

    while (i < n) {
        size_t k = n - i < PV_INSERT_ROWS ? 1 : PV_INSERT_ROWS;
        sqlite3_stmt *st = k == 1 ? in->one : in->many;
        for (size_t row = 0; row < k; row++)
            bind(st, 1 + (int)row * in->columns, rows, i + row);
        PV_TRY(pv_db_run(st, err));
        i += k;
    }
    return 0;
}
