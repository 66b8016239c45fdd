#include "invocations.h"

#include "inserts.h"
#include "keyed_hash.h"

#include <stdlib.h>

#define COLUMNS                                                                                    \
    "id, call, function, version, caller, begin_ns, end_ns, status, outcome, unit, request,"       \
    " response, grp, log, unit_node, unit_version, unit_frozen, events_end"
enum { N_COLUMNS = 18, CACHED_MAX = 200000 };

struct entry {
    UT_hash_handle hh, by_id;
    struct pv_s_inv inv;
    bool dirty, stored;
    struct entry *next_dirty;
};

struct pv_invs {
    sqlite3_stmt *load_call, *load_id, *update;
    struct pv_insert add;
    struct entry *map, *ids;
    struct entry *dirty;
    size_t n_dirty;
    uint64_t next;
    bool complete; /* the map holds all of the table: what it lacks is not there */
};

static int prepare(struct pv_invs *t, sqlite3 *db, struct pv_err *err)
{
    PV_TRY(pv_db_prepare(db, &t->load_call, "SELECT " COLUMNS " FROM inv WHERE call = ?", err));
    PV_TRY(pv_db_prepare(db, &t->load_id, "SELECT " COLUMNS " FROM inv WHERE id = ?", err));
    /* The call stays as it is, and with it its index. */
    PV_TRY(pv_db_prepare(db, &t->update,
                         "UPDATE inv SET function = ?2, version = ?3, caller = ?4, begin_ns = ?5,"
                         " end_ns = ?6, status = ?7, outcome = ?8, unit = ?9, request = ?10,"
                         " response = ?11, grp = ?12, log = ?13, unit_node = ?14,"
                         " unit_version = ?15, unit_frozen = ?16, events_end = ?17 WHERE id = ?1",
                         err));
    PV_TRY(pv_insert_prepare(&t->add, db, "INSERT INTO inv", N_COLUMNS, err));
    PV_TRY(pv_db_number(db, "SELECT max(id) + 1 FROM inv", 1, &t->next, err));
    t->complete = t->next == 1;
    return 0;
}

int pv_invs_new(struct pv_invs **ret, sqlite3 *db, struct pv_err *err)
{
    struct pv_invs *t = calloc(1, sizeof *t);
    if (!t)
        return pv_fail(err, ENOMEM, "allocate invocations");
    pv_keyed_hash_init();
    int rc = prepare(t, db, err);
    if (rc < 0) {
        pv_invs_free(t);
        return rc;
    }
    *ret = t;
    return 0;
}

static void forget(struct pv_invs *t)
{
    /* The tables' buckets go first: clearing does not look at the entries. */
    struct entry *e = t->map;
    HASH_CLEAR(hh, t->map);
    HASH_CLEAR(by_id, t->ids);
    while (e) {
        struct entry *next = e->hh.next;
        free(e);
        e = next;
    }
    t->dirty = NULL;
    t->n_dirty = 0;
}

void pv_invs_free(struct pv_invs *t)
{
    if (!t)
        return;
    (void)sqlite3_finalize(t->load_call);
    (void)sqlite3_finalize(t->load_id);
    (void)sqlite3_finalize(t->update);
    pv_insert_done(&t->add);
    forget(t);
    free(t);
}

static int add(struct pv_invs *t, const struct pv_s_inv *inv, struct entry **ret,
               struct pv_err *err)
{
    struct entry *e = calloc(1, sizeof *e);
    if (!e)
        return pv_fail(err, ENOMEM, "allocate invocations");
    e->inv = *inv;
    HASH_ADD(hh, t->map, inv.call, sizeof e->inv.call, e);
    if (!e->hh.tbl) {
        free(e);
        return pv_fail(err, ENOMEM, "allocate invocations");
    }
    HASH_ADD(by_id, t->ids, inv.id, sizeof e->inv.id, e);
    if (!e->by_id.tbl) {
        HASH_DELETE(hh, t->map, e);
        free(e);
        return pv_fail(err, ENOMEM, "allocate invocations");
    }
    *ret = e;
    return 0;
}

/* The columns but the call id, in the table's order. */
static void numbers_of(const struct pv_s_inv *v, uint64_t out[N_COLUMNS - 1])
{
    const uint64_t all[N_COLUMNS - 1] = {
        v->id,     v->function,  v->version,      v->caller,      v->begin_ns,  v->end_ns,
        v->status, v->outcome,   v->unit.obj,     v->request,     v->response,  v->grp,
        v->log,    v->unit.node, v->unit.version, v->unit.frozen, v->events_end};
    memcpy(out, all, sizeof all);
}

static int read_row(sqlite3_stmt *st, struct pv_s_inv *v, struct pv_err *err)
{
    const char *call = (const char *)sqlite3_column_text(st, 1);
    uint64_t *const to[N_COLUMNS] = {
        &v->id,     NULL,       &v->function,  &v->version,      &v->caller,      &v->begin_ns,
        &v->end_ns, &v->status, &v->outcome,   &v->unit.obj,     &v->request,     &v->response,
        &v->grp,    &v->log,    &v->unit.node, &v->unit.version, &v->unit.frozen, &v->events_end};
    if (!call || !pv_call_id_parse(call, &v->call))
        return pv_refuse(err, EILSEQ, "graph database: a call id is damaged");
    for (int i = 0; i < N_COLUMNS; i++)
        if (to[i])
            *to[i] = pv_col_u64(st, i);
    return 0;
}

/* Steps and resets a statement that loads one. */
static int load(struct pv_invs *t, sqlite3_stmt *st, struct entry **ret, struct pv_err *err)
{
    struct pv_s_inv inv = {0};
    int rc = pv_db_step(st, err);
    if (rc == 1) {
        rc = read_row(st, &inv, err);
        if (rc == 0)
            rc = add(t, &inv, ret, err);
        if (rc == 0)
            (*ret)->stored = true;
    }
    (void)sqlite3_reset(st);
    return rc;
}

static struct pv_s_inv *changed(struct pv_invs *t, struct entry *e)
{
    if (!e->dirty) {
        e->dirty = true;
        e->next_dirty = t->dirty;
        t->dirty = e;
        t->n_dirty++;
    }
    return &e->inv;
}

static int find_call(struct pv_invs *t, const struct pv_call_id *call, struct entry **ret,
                     struct pv_err *err)
{
    char text[PV_CALL_ID_CHARS + 1];
    HASH_FIND(hh, t->map, call, sizeof *call, *ret);
    if (*ret || t->complete)
        return 0;
    pv_call_id_print(call, text);
    pv_bind_text(t->load_call, 1, text);
    return load(t, t->load_call, ret, err);
}

int pv_invs_get(struct pv_invs *t, const struct pv_call_id *call, struct pv_s_inv **ret,
                bool *ret_new, struct pv_err *err)
{
    struct entry *e = NULL;
    PV_TRY(find_call(t, call, &e, err));
    *ret_new = !e;
    if (!e) {
        const struct pv_s_inv inv = {.id = t->next, .call = *call};
        PV_TRY(add(t, &inv, &e, err));
        t->next++;
    }
    *ret = changed(t, e);
    return 0;
}

int pv_invs_by_id(struct pv_invs *t, uint64_t id, struct pv_s_inv **ret, struct pv_err *err)
{
    struct entry *e = NULL;
    *ret = NULL;
    HASH_FIND(by_id, t->ids, &id, sizeof id, e);
    if (!e && !t->complete) {
        pv_bind_u64(t->load_id, 1, id);
        PV_TRY(load(t, t->load_id, &e, err));
    }
    if (e)
        *ret = changed(t, e);
    return 0;
}

static void bind_new(sqlite3_stmt *st, int at, const void *rows, size_t i)
{
    const struct pv_s_inv *v = &((struct entry *const *)rows)[i]->inv;
    char call[PV_CALL_ID_CHARS + 1];
    uint64_t n[N_COLUMNS - 1];
    numbers_of(v, n);
    pv_call_id_print(&v->call, call);
    pv_bind_u64(st, at, n[0]);
    (void)sqlite3_bind_text(st, at + 1, call, PV_CALL_ID_CHARS, SQLITE_TRANSIENT);
    for (int k = 1; k < N_COLUMNS - 1; k++)
        pv_bind_u64(st, at + 1 + k, n[k]);
}

static int update(struct pv_invs *t, const struct pv_s_inv *v, struct pv_err *err)
{
    uint64_t n[N_COLUMNS - 1];
    numbers_of(v, n);
    for (int k = 0; k < N_COLUMNS - 1; k++)
        pv_bind_u64(t->update, 1 + k, n[k]);
    return pv_db_run(t->update, err);
}

static int by_number(const void *a, const void *b)
{
    const struct entry *x = *(struct entry *const *)a, *y = *(struct entry *const *)b;
    return x->inv.id < y->inv.id ? -1 : x->inv.id > y->inv.id;
}

/* The new ones have the highest numbers: first those that are there, then those to be added. */
int pv_invs_flush(struct pv_invs *t, struct pv_err *err)
{
    pv_autofree struct entry **all = calloc(t->n_dirty + 1, sizeof *all);
    size_t n = 0, known = 0;
    if (!all)
        return pv_fail(err, ENOMEM, "write invocations");
    for (struct entry *e = t->dirty; e; e = e->next_dirty)
        all[n++] = e;
    if (n)
        qsort(all, n, sizeof *all, by_number);
    for (; known < n && all[known]->stored; known++)
        PV_TRY(update(t, &all[known]->inv, err));
    PV_TRY(pv_insert_rows(&t->add, bind_new, all + known, n - known, err));
    for (size_t i = 0; i < n; i++) {
        all[i]->dirty = false;
        all[i]->stored = true;
    }
    t->dirty = NULL;
    t->n_dirty = 0;
    return 0;
}

void pv_invs_trim(struct pv_invs *t)
{
    if (HASH_COUNT(t->map) <= CACHED_MAX)
        return;
    forget(t);
    t->complete = false;
}
