#include "state.h"

#include "keyed_hash.h"

#include <stddef.h>

enum { KEY_BYTES = 25, CACHED_MAX = 200000 };

struct entry {
    UT_hash_handle hh;
    uint8_t key[KEY_BYTES];
    bool dirty;
    struct entry *next_dirty;
    union pv_s_value value;
};

struct pv_state {
    sqlite3_stmt *load, *store;
    struct entry *map;
    struct entry *dirty;
    size_t n_dirty;
    bool complete; /* the map holds all of the table: what it lacks is not there */
};

static const size_t value_bytes[PV_S_MAX] = {
    [PV_S_ALIAS_PID] = sizeof(struct pv_s_alias),  [PV_S_ALIAS_INST] = sizeof(struct pv_s_alias),
    [PV_S_ALIAS_PIPE] = sizeof(struct pv_s_alias), [PV_S_ALIAS_PORT] = sizeof(struct pv_s_alias),
    [PV_S_ALIAS_CONN] = sizeof(struct pv_s_alias), [PV_S_GROUP] = sizeof(struct pv_s_group),
    [PV_S_PROC] = sizeof(struct pv_s_proc),        [PV_S_OBJDEF] = sizeof(struct pv_s_objdef),
    [PV_S_FILE] = sizeof(struct pv_s_versions),    [PV_S_PRIVATE] = sizeof(struct pv_s_versions),
    [PV_S_SOCK] = sizeof(struct pv_s_sock),        [PV_S_SOCKVER] = sizeof(struct pv_s_sockver),
    [PV_S_CONN] = sizeof(struct pv_s_conn),        [PV_S_EXCHANGE] = sizeof(struct pv_s_exchange),
    [PV_S_NAMED] = sizeof(struct pv_s_versions),   [PV_S_START] = sizeof(struct pv_s_start),
};

int pv_state_new(struct pv_state **ret, sqlite3 *db, struct pv_err *err)
{
    struct pv_state *st = calloc(1, sizeof *st);
    if (!st)
        return pv_fail(err, ENOMEM, "allocate the stitcher's state");
    pv_keyed_hash_init();
    int rc = pv_db_prepare(db, &st->load, "SELECT value FROM state WHERE key = ?", err);
    if (rc == 0)
        rc = pv_db_prepare(db, &st->store, "REPLACE INTO state(key, value) VALUES(?, ?)", err);
    uint64_t any = 1;
    if (rc == 0)
        rc = pv_db_number(db, "SELECT EXISTS(SELECT 1 FROM state)", 1, &any, err);
    st->complete = any == 0;
    if (rc < 0) {
        pv_state_free(st);
        return rc;
    }
    *ret = st;
    return 0;
}

static void forget(struct pv_state *st)
{
    /* The table's buckets go first: clearing does not look at the entries. */
    struct entry *e = st->map;
    HASH_CLEAR(hh, st->map);
    while (e) {
        struct entry *next = e->hh.next;
        free(e);
        e = next;
    }
    st->dirty = NULL;
    st->n_dirty = 0;
}

void pv_state_free(struct pv_state *st)
{
    if (!st)
        return;
    (void)sqlite3_finalize(st->load);
    (void)sqlite3_finalize(st->store);
    forget(st);
    free(st);
}

static void put_be64(uint8_t *p, uint64_t v)
{
    for (int i = 7; i >= 0; i--, v >>= 8)
        p[i] = (uint8_t)v;
}

static void make_key(uint8_t key[KEY_BYTES], enum pv_state_kind kind, uint64_t a, uint64_t b,
                     uint64_t c)
{
    key[0] = (uint8_t)kind;
    put_be64(key + 1, a);
    put_be64(key + 9, b);
    put_be64(key + 17, c);
}

static int add(struct pv_state *st, const uint8_t key[KEY_BYTES], struct entry **ret,
               struct pv_err *err)
{
    struct entry *e = calloc(1, sizeof *e);
    if (!e)
        return pv_fail(err, ENOMEM, "allocate the stitcher's state");
    memcpy(e->key, key, KEY_BYTES);
    HASH_ADD(hh, st->map, key, KEY_BYTES, e);
    if (!e->hh.tbl) {
        free(e);
        return pv_fail(err, ENOMEM, "allocate the stitcher's state");
    }
    *ret = e;
    return 0;
}

static int load(struct pv_state *st, const uint8_t key[KEY_BYTES], struct entry **ret,
                struct pv_err *err)
{
    pv_bind_blob(st->load, 1, key, KEY_BYTES);
    int rc = pv_db_step(st->load, err);
    if (rc == 1) {
        int n = sqlite3_column_bytes(st->load, 0);
        if (n < 0 || (size_t)n != value_bytes[key[0]])
            rc = pv_refuse(err, EILSEQ, "graph database: a state row has a wrong size");
        else
            rc = add(st, key, ret, err);
        if (rc == 0)
            memcpy(&(*ret)->value, sqlite3_column_blob(st->load, 0), (size_t)n);
    }
    (void)sqlite3_reset(st->load);
    return rc;
}

int pv_state_find(struct pv_state *st, enum pv_state_kind kind, uint64_t a, uint64_t b, uint64_t c,
                  union pv_s_value **ret, struct pv_err *err)
{
    uint8_t key[KEY_BYTES];
    struct entry *e = NULL;
    make_key(key, kind, a, b, c);
    HASH_FIND(hh, st->map, key, KEY_BYTES, e);
    if (!e && !st->complete)
        PV_TRY(load(st, key, &e, err));
    *ret = e ? &e->value : NULL;
    return 0;
}

int pv_state_get(struct pv_state *st, enum pv_state_kind kind, uint64_t a, uint64_t b, uint64_t c,
                 union pv_s_value **ret, bool *ret_new, struct pv_err *err)
{
    uint8_t key[KEY_BYTES];
    struct entry *e = NULL;
    union pv_s_value *v = NULL;
    PV_TRY(pv_state_find(st, kind, a, b, c, &v, err));
    if (ret_new)
        *ret_new = v == NULL;
    if (!v) {
        make_key(key, kind, a, b, c);
        PV_TRY(add(st, key, &e, err));
        v = &e->value;
        pv_state_touch(st, v);
    }
    *ret = v;
    return 0;
}

void pv_state_touch(struct pv_state *st, union pv_s_value *value)
{
    struct entry *e = (struct entry *)(void *)((char *)value - offsetof(struct entry, value));
    if (e->dirty)
        return;
    e->dirty = true;
    e->next_dirty = st->dirty;
    st->dirty = e;
    st->n_dirty++;
}

static int by_key(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    return memcmp(x->key, y->key, KEY_BYTES);
}

int pv_state_flush(struct pv_state *st, pv_state_each each, void *arg, struct pv_err *err)
{
    pv_autofree struct entry **all = calloc(st->n_dirty + 1, sizeof *all);
    size_t n = 0;
    if (!all)
        return pv_fail(err, ENOMEM, "write the stitcher's state");
    for (struct entry *e = st->dirty; e; e = e->next_dirty)
        all[n++] = e;
    /* In key order the tree's pages are visited once each. */
    if (n)
        qsort(all, n, sizeof *all, by_key);
    for (size_t i = 0; i < n; i++) {
        struct entry *e = all[i];
        pv_bind_blob(st->store, 1, e->key, KEY_BYTES);
        pv_bind_blob(st->store, 2, &e->value, value_bytes[e->key[0]]);
        PV_TRY(pv_db_run(st->store, err));
        PV_TRY(each(arg, e->key[0], &e->value, err));
        e->dirty = false;
    }
    st->dirty = NULL;
    st->n_dirty = 0;
    return 0;
}

void pv_state_trim(struct pv_state *st)
{
    if (HASH_COUNT(st->map) <= CACHED_MAX)
        return;
    forget(st);
    st->complete = false;
}
