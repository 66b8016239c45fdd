/* One hash over the content of a graph, and finding the first row in which two differ. */
#include "compare.h"
#include "schema.h"

#include "pv/graph_follow.h"

#include <stdio.h>
#include <string.h>

static int rows_of(sqlite3 *db, const struct pv_schema_table *t, sqlite3_stmt **ret,
                   struct pv_err *err)
{
    char sql[512];
    (void)snprintf(sql, sizeof sql, "SELECT %s FROM %s ORDER BY %s", t->columns, t->from, t->order);
    return pv_db_prepare(db, ret, sql, err);
}

static void feed_column(struct pv_hasher *h, sqlite3_stmt *st, int col)
{
    uint8_t head[9] = {(uint8_t)sqlite3_column_type(st, col)};
    uint64_t number = pv_col_u64(st, col);
    const void *bytes = NULL;
    if (head[0] == SQLITE_BLOB || head[0] == SQLITE_TEXT) {
        bytes = sqlite3_column_blob(st, col);
        number = (uint64_t)sqlite3_column_bytes(st, col);
    }
    for (unsigned i = 0; i < 8; i++)
        head[1 + i] = (uint8_t)(number >> (56 - 8 * i));
    pv_hasher_update(h, head, sizeof head);
    if (bytes)
        pv_hasher_update(h, bytes, (size_t)number);
}

static int digest_tables(sqlite3 *db, struct pv_hasher *h, struct pv_err *err)
{
    for (const struct pv_schema_table *t = pv_schema_tables; t->name; t++) {
        pv_autostmt sqlite3_stmt *st = NULL;
        int rc;
        if (strcmp(t->name, "checkpoint") == 0)
            continue;
        pv_hasher_update(h, t->name, strlen(t->name) + 1);
        PV_TRY(rows_of(db, t, &st, err));
        while ((rc = pv_db_step(st, err)) == 1)
            for (int i = 0; i < sqlite3_column_count(st); i++)
                feed_column(h, st, i);
        PV_TRY(rc);
    }
    return 0;
}

int pv_graph_digest(const char *path, uint8_t ret[PV_HASH_BYTES], struct pv_err *err)
{
    pv_autodb sqlite3 *db = NULL;
    struct pv_hasher *h = NULL;
    PV_TRY(pv_crypto_init(err));
    PV_TRY(pv_db_open(&db, path, PV_DB_READ, err));
    PV_TRY(pv_schema_check(db, err));
    PV_TRY(pv_hasher_new(&h, err));
    int rc = digest_tables(db, h, err);
    if (rc == 0)
        pv_hasher_final(h, ret);
    pv_hasher_free(h);
    return rc;
}

static bool same_column(sqlite3_stmt *a, sqlite3_stmt *b, int col)
{
    int type = sqlite3_column_type(a, col);
    if (type != sqlite3_column_type(b, col))
        return false;
    if (type == SQLITE_INTEGER)
        return sqlite3_column_int64(a, col) == sqlite3_column_int64(b, col);
    if (type == SQLITE_NULL)
        return true;
    const void *pa = sqlite3_column_blob(a, col), *pb = sqlite3_column_blob(b, col);
    int na = sqlite3_column_bytes(a, col), nb = sqlite3_column_bytes(b, col);
    return na == nb && (na == 0 || memcmp(pa, pb, (size_t)na) == 0);
}

static bool same_row(sqlite3_stmt *a, sqlite3_stmt *b)
{
    for (int i = 0; i < sqlite3_column_count(a); i++)
        if (!same_column(a, b, i))
            return false;
    return true;
}

static void name_row(sqlite3_stmt *st, struct pv_difference *d)
{
    size_t len = 0;
    for (int i = 0; i < sqlite3_column_count(st) && len + 40 < sizeof d->row; i++) {
        if (sqlite3_column_type(st, i) != SQLITE_INTEGER)
            continue;
        int n = snprintf(d->row + len, sizeof d->row - len, "%s%s=%lld", len ? " " : "",
                         sqlite3_column_name(st, i), (long long)sqlite3_column_int64(st, i));
        len += n > 0 ? (size_t)n : 0;
    }
}

static int compare_table(sqlite3 *a, sqlite3 *b, const struct pv_schema_table *t,
                         struct pv_difference *ret, struct pv_err *err)
{
    pv_autostmt sqlite3_stmt *sa = NULL;
    pv_autostmt sqlite3_stmt *sb = NULL;
    PV_TRY(rows_of(a, t, &sa, err));
    PV_TRY(rows_of(b, t, &sb, err));
    for (;;) {
        int ra = pv_db_step(sa, err);
        PV_TRY(ra);
        int rb = pv_db_step(sb, err);
        PV_TRY(rb);
        if (!ra && !rb)
            return 0;
        if (ra && rb && same_row(sa, sb))
            continue;
        (void)snprintf(ret->table, sizeof ret->table, "%s", t->name);
        name_row(ra ? sa : sb, ret);
        ret->missing = !ra;
        return 1;
    }
}

int pv_compare_derived(sqlite3 *a, sqlite3 *b, struct pv_difference *ret, struct pv_err *err)
{
    memset(ret, 0, sizeof *ret);
    for (const struct pv_schema_table *t = pv_schema_tables; t->name; t++) {
        if (strcmp(t->name, "event") == 0 || strcmp(t->name, "checkpoint") == 0)
            continue;
        int rc = compare_table(a, b, t, ret, err);
        if (rc != 0)
            return rc;
    }
    return 0;
}
