#include "strings.h"

#include "keyed_hash.h"

#include <stddef.h>

enum { CACHED_MAX = 100000 };

struct entry {
    UT_hash_handle hh;
    uint64_t id;
    char text[];
};

struct pv_strings {
    struct entry *map;
    sqlite3_stmt *find, *add;
    uint64_t next;
};

int pv_strings_new(struct pv_strings **ret, sqlite3 *db, struct pv_err *err)
{
    struct pv_strings *t = calloc(1, sizeof *t);
    if (!t)
        return pv_fail(err, ENOMEM, "allocate strings");
    pv_keyed_hash_init();
    int rc = pv_db_prepare(db, &t->find, "SELECT id FROM str WHERE text = ?", err);
    if (rc == 0)
        rc = pv_db_prepare(db, &t->add, "INSERT INTO str(id, text) VALUES(?, ?)", err);
    if (rc == 0)
        rc = pv_db_number(db, "SELECT max(id) + 1 FROM str", 1, &t->next, err);
    if (rc < 0) {
        pv_strings_free(t);
        return rc;
    }
    *ret = t;
    return 0;
}

static void forget(struct pv_strings *t)
{
    struct entry *e = t->map;
    HASH_CLEAR(hh, t->map);
    while (e) {
        struct entry *next = e->hh.next;
        free(e);
        e = next;
    }
}

void pv_strings_free(struct pv_strings *t)
{
    if (!t)
        return;
    forget(t);
    (void)sqlite3_finalize(t->find);
    (void)sqlite3_finalize(t->add);
    free(t);
}

static int find_or_add(struct pv_strings *t, const char *text, uint64_t *ret, struct pv_err *err)
{
    pv_bind_text(t->find, 1, text);
    int rc = pv_db_step(t->find, err);
    if (rc == 1)
        *ret = pv_col_u64(t->find, 0);
    (void)sqlite3_reset(t->find);
    PV_TRY(rc);
    if (rc == 1)
        return 0;
    pv_bind_u64(t->add, 1, t->next);
    pv_bind_text(t->add, 2, text);
    PV_TRY(pv_db_run(t->add, err));
    *ret = t->next++;
    return 0;
}

int pv_strings_intern(struct pv_strings *t, const char *text, uint64_t *ret, struct pv_err *err)
{
    struct entry *e = NULL;
    size_t len = strlen(text);
    HASH_FIND(hh, t->map, text, len, e);
    if (!e) {
        uint64_t id = 0;
        PV_TRY(find_or_add(t, text, &id, err));
        e = calloc(1, sizeof *e + len + 1);
        if (!e)
            return pv_fail(err, ENOMEM, "allocate strings");
        memcpy(e->text, text, len);
        e->id = id;
        HASH_ADD_KEYPTR(hh, t->map, e->text, len, e);
        if (!e->hh.tbl) {
            free(e);
            return pv_fail(err, ENOMEM, "allocate strings");
        }
    }
    *ret = e->id;
    return 0;
}

void pv_strings_trim(struct pv_strings *t)
{
    if (HASH_COUNT(t->map) > CACHED_MAX)
        forget(t);
}
