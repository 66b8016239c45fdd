#include "db.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int errno_of(int sqlite_rc)
{
    switch (sqlite_rc & 0xff) {
    case SQLITE_NOMEM:
        return ENOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
        return EILSEQ;
    case SQLITE_CANTOPEN:
        return ENOENT;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return EBUSY;
    case SQLITE_FULL:
        return ENOSPC;
    case SQLITE_PERM:
    case SQLITE_READONLY:
        return EACCES;
    case SQLITE_CONSTRAINT:
        return EEXIST;
    default:
        return EIO;
    }
}

int pv_db_fail(sqlite3 *db, int sqlite_rc, const char *what, struct pv_err *err)
{
    const char *why = db ? sqlite3_errmsg(db) : sqlite3_errstr(sqlite_rc);
    return pv_refuse(err, errno_of(sqlite_rc), "%s: %s", what, why);
}

/* "file:PATH?immutable=1", escaped (sqlite.org/uri.html). */
static void immutable_uri(const char *path, char *out, size_t cap)
{
    size_t len = (size_t)snprintf(out, cap, "file:");
    for (const char *p = path; *p && len + 20 < cap; p++)
        len += (size_t)snprintf(out + len, cap - len, strchr("%?#", *p) ? "%%%02x" : "%c",
                                (unsigned char)*p);
    (void)snprintf(out + len, cap - len, "?immutable=1");
}

/* A database in WAL mode wants to write beside itself even to be read. On read-only media it can be
 * read as it is, if no journal holds something that it lacks. */
static int open_immutable(sqlite3 **db, const char *path, int rc)
{
    char text[3 * PATH_MAX];
    (void)snprintf(text, sizeof text, "%s-wal", path);
    if (access(path, R_OK) < 0 || access(text, F_OK) == 0)
        return rc;
    (void)sqlite3_close_v2(*db);
    *db = NULL;
    immutable_uri(path, text, sizeof text);
    return sqlite3_open_v2(text, db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI,
                           NULL);
}

int pv_db_open(sqlite3 **ret, const char *path, enum pv_db_mode mode, struct pv_err *err)
{
    pv_autodb sqlite3 *db = NULL;
    int flags =
        mode == PV_DB_WRITE ? SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE : SQLITE_OPEN_READONLY;
    int rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX, NULL);
    if (rc == SQLITE_OK && mode == PV_DB_READ) {
        (void)sqlite3_busy_timeout(db, 5000);
        rc = sqlite3_exec(db, "SELECT 1 FROM sqlite_master", NULL, NULL, NULL) & 0xff;
        if (rc == SQLITE_CANTOPEN || rc == SQLITE_READONLY)
            rc = open_immutable(&db, path, rc);
    }
    if (rc != SQLITE_OK)
        return pv_wrap(err, pv_db_fail(db, rc, "open", err), "graph database '%s'", path);
    (void)sqlite3_busy_timeout(db, 5000);
    *ret = PV_TAKE_PTR(db);
    return 0;
}

int pv_db_exec(sqlite3 *db, const char *sql, struct pv_err *err)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? 0 : pv_db_fail(db, rc, "graph database", err);
}

int pv_db_prepare(sqlite3 *db, sqlite3_stmt **ret, const char *sql, struct pv_err *err)
{
    int rc = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
    return rc == SQLITE_OK ? 0 : pv_db_fail(db, rc, "graph database", err);
}

int pv_db_step(sqlite3_stmt *st, struct pv_err *err)
{
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        return 1;
    if (rc == SQLITE_DONE)
        return 0;
    return pv_db_fail(sqlite3_db_handle(st), rc, "graph database", err);
}

int pv_db_run(sqlite3_stmt *st, struct pv_err *err)
{
    int rc = sqlite3_step(st);
    (void)sqlite3_reset(st);
    if (rc == SQLITE_DONE || rc == SQLITE_ROW)
        return 0;
    return pv_db_fail(sqlite3_db_handle(st), rc, "graph database", err);
}

int pv_db_number(sqlite3 *db, const char *sql, uint64_t absent, uint64_t *ret, struct pv_err *err)
{
    pv_autostmt sqlite3_stmt *st = NULL;
    PV_TRY(pv_db_prepare(db, &st, sql, err));
    int rc = pv_db_step(st, err);
    PV_TRY(rc);
    *ret = rc && sqlite3_column_type(st, 0) != SQLITE_NULL ? pv_col_u64(st, 0) : absent;
    return 0;
}
