/* The rows of the graph: strings, objects, versions, edges. */
#include "stitch_core.h"
#include "strings.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_MAX_BYTES = 1024 };

int pv_stitch_intern(struct pv_stitch *s, const char *text, uint64_t *ret, struct pv_err *err)
{
    return pv_strings_intern(s->strings, text, ret, err);
}

int pv_stitch_intern_field(struct pv_stitch *s, const char *field, uint64_t *ret,
                           struct pv_err *err)
{
    char text[NAME_MAX_BYTES];
    pv_event_get_text(s->e, field, text, sizeof text);
    return pv_stitch_intern(s, text, ret, err);
}

/* v with room for n elements, or NULL. */
static void *room(void *v, size_t *cap, size_t n, size_t size)
{
    size_t want = *cap ? *cap : 256;
    if (n <= *cap)
        return v;
    while (want < n)
        want *= 2;
    void *bigger = reallocarray(v, want, size);
    if (bigger)
        *cap = want;
    return bigger;
}

static int no_room(struct pv_err *err)
{
    return pv_fail(err, ENOMEM, "allocate the graph's rows");
}

static struct pv_obj_row *new_obj(struct pv_stitch *s)
{
    struct pv_obj_row *v = room(s->objs, &s->cap_objs, s->n_objs + 1, sizeof *v);
    if (!v)
        return NULL;
    s->objs = v;
    return &v[s->n_objs++];
}

static struct pv_revision_row *new_revision(struct pv_stitch *s)
{
    struct pv_revision_row *v =
        room(s->revisions, &s->cap_revisions, s->n_revisions + 1, sizeof *v);
    if (!v)
        return NULL;
    s->revisions = v;
    return &v[s->n_revisions++];
}

static struct pv_edge_row *new_edge(struct pv_stitch *s)
{
    struct pv_edge_row *v = room(s->edges, &s->cap_edges, s->n_edges + 1, sizeof *v);
    if (!v)
        return NULL;
    s->edges = v;
    return &v[s->n_edges++];
}

static void set_hash(struct pv_obj_row *o, const struct pv_value *hash)
{
    o->has_hash = hash && hash->len == PV_HASH_BYTES;
    if (o->has_hash)
        memcpy(o->hash, hash->bytes, PV_HASH_BYTES);
}

int pv_stitch_object(struct pv_stitch *s, const struct pv_new_object *o, struct pv_s_versions *ret,
                     struct pv_err *err)
{
    struct pv_obj_row *row = new_obj(s);
    if (!row)
        return no_room(err);
    *row = (struct pv_obj_row){.id = s->next_node,
                               .type = o->type,
                               .inv = o->inv,
                               .grp = o->grp,
                               .name = o->name,
                               .seq = s->seq,
                               .flags = o->flags};
    *ret = (struct pv_s_versions){.obj = s->next_node, .node = s->next_node};
    s->next_node++;
    return 0;
}

static int add_version(struct pv_stitch *s, struct pv_s_versions *v, uint64_t name,
                       struct pv_err *err)
{
    struct pv_revision_row *row = new_revision(s);
    if (!row)
        return no_room(err);
    v->node = s->next_node++;
    v->version++;
    v->frozen = 0;
    *row = (struct pv_revision_row){v->node, v->obj, v->version, s->seq, name};
    return 0;
}

int pv_stitch_revise(struct pv_stitch *s, struct pv_s_versions *v, uint64_t name,
                     struct pv_err *err)
{
    uint64_t before = v->node;
    PV_TRY(add_version(s, v, name, err));
    return pv_stitch_edge(s, v->node, before, PV_R_REVISION, s->seq, err);
}

int pv_stitch_sibling(struct pv_stitch *s, struct pv_s_versions *v, struct pv_err *err)
{
    return add_version(s, v, 0, err);
}

int pv_stitch_open_version(struct pv_stitch *s, struct pv_s_versions *v, struct pv_err *err)
{
    return v->frozen ? pv_stitch_revise(s, v, 0, err) : 0;
}

int pv_stitch_edge(struct pv_stitch *s, uint64_t src, uint64_t dst, enum pv_relation rel,
                   uint64_t seq, struct pv_err *err)
{
    struct pv_edge_row *row = new_edge(s);
    if (!row)
        return no_room(err);
    *row = (struct pv_edge_row){src, seq, dst, rel};
    return 0;
}

static int by_id(const void *a, const void *b)
{
    const struct pv_obj_row *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

int pv_stitch_measure(struct pv_stitch *s, uint64_t obj, uint64_t len, const struct pv_value *hash,
                      struct pv_err *err)
{
    const struct pv_obj_row key = {.id = obj};
    struct pv_obj_row *o =
        s->n_objs ? bsearch(&key, s->objs, s->n_objs, sizeof *s->objs, by_id) : NULL;
    if (o) {
        o->len = len;
        set_hash(o, hash);
        return 0;
    }
    pv_bind_u64(s->set_obj, 1, len);
    if (hash && hash->len == PV_HASH_BYTES)
        pv_bind_blob(s->set_obj, 2, hash->bytes, hash->len);
    else
        (void)sqlite3_bind_null(s->set_obj, 2);
    pv_bind_u64(s->set_obj, 3, obj);
    return pv_db_run(s->set_obj, err);
}

int pv_stitch_event_row(struct pv_stitch *s, const uint8_t *entry, size_t len, struct pv_err *err)
{
    if (s->n_events == PV_EVENTS_HELD)
        PV_TRY(pv_stitch_flush_events(s, err));
    uint8_t *bytes = room(s->bytes, &s->cap_bytes, s->n_bytes + len, 1);
    if (!bytes)
        return no_room(err);
    s->bytes = bytes;
    struct pv_event_row *row = &s->events[s->n_events++];
    *row = (struct pv_event_row){.seq = s->seq,
                                 .kind = s->e->kind,
                                 .domain = s->domain,
                                 .inv = s->inv,
                                 .back = s->back,
                                 .grp = s->grp,
                                 .time_ns = s->e->time_ns,
                                 .at = s->n_bytes,
                                 .len = len};
    memcpy(row->chain, s->chain, PV_HASH_BYTES);
    memcpy(s->bytes + s->n_bytes, entry, len);
    s->n_bytes += len;
    return 0;
}

int pv_stitch_named(struct pv_stitch *s, enum pv_node_type type, uint64_t name, uint64_t version,
                    uint64_t flags, union pv_s_value **ret, struct pv_err *err)
{
    bool is_new = false;
    PV_TRY(pv_state_get(s->state, PV_S_NAMED, type, name, version, ret, &is_new, err));
    if (!is_new)
        return 0;
    const struct pv_new_object o = {.type = type, .name = name, .flags = flags};
    return pv_stitch_object(s, &o, &(*ret)->versions, err);
}

static int bind_numbers(sqlite3_stmt *st, int at, const uint64_t *v, int n)
{
    for (int i = 0; i < n; i++)
        pv_bind_u64(st, at + i, v[i]);
    return at + n;
}

static void bind_event(sqlite3_stmt *st, int at, const void *rows, size_t i)
{
    const struct pv_stitch *s = rows;
    const struct pv_event_row *e = &s->events[i];
    const uint64_t all[] = {e->seq, e->kind, e->domain, e->inv, e->back, e->grp, e->time_ns};
    at = bind_numbers(st, at, all, sizeof all / sizeof *all);
    pv_bind_blob(st, at, e->chain, sizeof e->chain);
    pv_bind_blob(st, at + 1, s->bytes + e->at, e->len);
}

static void bind_obj(sqlite3_stmt *st, int at, const void *rows, size_t i)
{
    const struct pv_obj_row *o = (const struct pv_obj_row *)rows + i;
    const uint64_t all[] = {o->id, o->type, o->inv, o->grp, o->name, o->seq, o->flags, o->len};
    at = bind_numbers(st, at, all, sizeof all / sizeof *all);
    if (o->has_hash)
        pv_bind_blob(st, at, o->hash, sizeof o->hash);
    else
        (void)sqlite3_bind_null(st, at);
}

static void bind_revision(sqlite3_stmt *st, int at, const void *rows, size_t i)
{
    const struct pv_revision_row *r = (const struct pv_revision_row *)rows + i;
    const uint64_t all[] = {r->id, r->obj, r->version, r->seq, r->name};
    (void)bind_numbers(st, at, all, sizeof all / sizeof *all);
}

static void bind_edge(sqlite3_stmt *st, int at, const void *rows, size_t i)
{
    const struct pv_edge_row *e = (const struct pv_edge_row *)rows + i;
    const uint64_t all[] = {e->src, e->seq, e->dst, e->rel};
    (void)bind_numbers(st, at, all, sizeof all / sizeof *all);
}

int pv_stitch_rows_prepare(struct pv_stitch *s, struct pv_err *err)
{
    PV_TRY(pv_insert_prepare(&s->add_event, s->db, "INSERT INTO event", 9, err));
    PV_TRY(pv_insert_prepare(&s->add_obj, s->db, "INSERT INTO obj", 9, err));
    PV_TRY(pv_insert_prepare(&s->add_revision, s->db, "INSERT INTO revision", 5, err));
    PV_TRY(pv_insert_prepare(&s->add_edge, s->db, "INSERT OR IGNORE INTO edge", 4, err));
    return pv_db_prepare(s->db, &s->set_obj, "UPDATE obj SET len = ?, hash = ? WHERE id = ?", err);
}

void pv_stitch_rows_done(struct pv_stitch *s)
{
    pv_insert_done(&s->add_event);
    pv_insert_done(&s->add_obj);
    pv_insert_done(&s->add_revision);
    pv_insert_done(&s->add_edge);
    (void)sqlite3_finalize(s->set_obj);
    free(s->objs);
    free(s->revisions);
    free(s->edges);
    free(s->bytes);
}

int pv_stitch_flush_events(struct pv_stitch *s, struct pv_err *err)
{
    PV_TRY(pv_insert_rows(&s->add_event, bind_event, s, s->n_events, err));
    s->n_events = s->n_bytes = 0;
    return 0;
}

/* In key order a tree's pages are visited once each. */
static int by_src(const void *a, const void *b)
{
    const struct pv_edge_row *x = a, *y = b;
    return x->src != y->src ? (x->src < y->src ? -1 : 1) : x->seq < y->seq ? -1 : x->seq > y->seq;
}

int pv_stitch_flush_rows(struct pv_stitch *s, struct pv_err *err)
{
    PV_TRY(pv_stitch_flush_events(s, err));
    PV_TRY(pv_insert_rows(&s->add_obj, bind_obj, s->objs, s->n_objs, err));
    PV_TRY(pv_insert_rows(&s->add_revision, bind_revision, s->revisions, s->n_revisions, err));
    if (s->n_edges)
        qsort(s->edges, s->n_edges, sizeof *s->edges, by_src);
    PV_TRY(pv_insert_rows(&s->add_edge, bind_edge, s->edges, s->n_edges, err));
    s->n_objs = s->n_revisions = s->n_edges = 0;
    return 0;
}
