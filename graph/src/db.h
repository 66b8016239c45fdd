/* SQLite with this project's errors: open, run, prepare, step. */
#pragma once
#include "pv/err.h"
#include "pv/own.h"

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

enum pv_db_mode { PV_DB_READ, PV_DB_WRITE };

PV_MUST_CHECK int pv_db_open(sqlite3 **ret, const char *path, enum pv_db_mode mode,
                             struct pv_err *err);
PV_MUST_CHECK int pv_db_exec(sqlite3 *db, const char *sql, struct pv_err *err);
PV_MUST_CHECK int pv_db_prepare(sqlite3 *db, sqlite3_stmt **ret, const char *sql,
                                struct pv_err *err);
/* 1 = a row, 0 = done. */
PV_MUST_CHECK int pv_db_step(sqlite3_stmt *st, struct pv_err *err);
/* Steps a statement that returns no row, and resets it. */
PV_MUST_CHECK int pv_db_run(sqlite3_stmt *st, struct pv_err *err);
/* Records SQLite's error as a sentence and returns its errno. */
PV_MUST_CHECK int pv_db_fail(sqlite3 *db, int sqlite_rc, const char *what, struct pv_err *err);
/* First column of the first row, or `absent`. */
PV_MUST_CHECK int pv_db_number(sqlite3 *db, const char *sql, uint64_t absent, uint64_t *ret,
                               struct pv_err *err);

static inline void pv_stmt_cleanup_(sqlite3_stmt **st)
{
    (void)sqlite3_finalize(*st);
}
#define pv_autostmt __attribute__((cleanup(pv_stmt_cleanup_)))
static inline void pv_db_cleanup_(sqlite3 **db)
{
    (void)sqlite3_close_v2(*db);
}
#define pv_autodb __attribute__((cleanup(pv_db_cleanup_)))

static inline uint64_t pv_col_u64(sqlite3_stmt *st, int col)
{
    return (uint64_t)sqlite3_column_int64(st, col);
}
static inline void pv_bind_u64(sqlite3_stmt *st, int at, uint64_t v)
{
    (void)sqlite3_bind_int64(st, at, (sqlite3_int64)v);
}
/* Bytes are borrowed until the statement is reset. */
static inline void pv_bind_blob(sqlite3_stmt *st, int at, const void *p, size_t len)
{
    (void)sqlite3_bind_blob(st, at, p ? p : "", (int)len, SQLITE_STATIC);
}
static inline void pv_bind_text(sqlite3_stmt *st, int at, const char *s)
{
    (void)sqlite3_bind_text(st, at, s, -1, SQLITE_STATIC);
}
