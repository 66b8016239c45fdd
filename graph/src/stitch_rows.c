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

static int add_node(struct pv_stitch *s, uint64_t obj, uint64_t version, uint64_t name,
                    uint64_t *ret, struct pv_err *err)
{
    pv_bind_u64(s->add_node, 1, s->next_node);
    pv_bind_u64(s->add_node, 2, obj);
    pv_bind_u64(s->add_node, 3, version);
    pv_bind_u64(s->add_node, 4, s->seq);
    pv_bind_u64(s->add_node, 5, name);
    PV_TRY(pv_db_run(s->add_node, err));
    *ret = s->next_node++;
    return 0;
}

static void bind_hash(sqlite3_stmt *st, int at, const struct pv_value *hash)
{
    if (hash && hash->len == PV_HASH_BYTES)
        pv_bind_blob(st, at, hash->bytes, hash->len);
    else
        (void)sqlite3_bind_null(st, at);
}

int pv_stitch_object(struct pv_stitch *s, const struct pv_new_object *o, struct pv_s_versions *ret,
                     struct pv_err *err)
{
    const uint64_t all[] = {s->next_obj, o->type, o->inv, o->grp, o->name, o->flags, o->len};
    for (int i = 0; i < (int)(sizeof all / sizeof *all); i++)
        pv_bind_u64(s->add_obj, 1 + i, all[i]);
    bind_hash(s->add_obj, 8, o->hash);
    PV_TRY(pv_db_run(s->add_obj, err));
    memset(ret, 0, sizeof *ret);
    PV_TRY(add_node(s, s->next_obj, 0, o->name, &ret->node, err));
    ret->obj = s->next_obj++;
    ret->first = ret->node;
    return 0;
}

int pv_stitch_revise(struct pv_stitch *s, struct pv_s_versions *v, uint64_t name,
                     struct pv_err *err)
{
    uint64_t before = v->node;
    PV_TRY(add_node(s, v->obj, v->version + 1, name, &v->node, err));
    v->version++;
    v->frozen = 0;
    return pv_stitch_edge(s, v->node, before, PV_R_REVISION, s->seq, err);
}

int pv_stitch_sibling(struct pv_stitch *s, struct pv_s_versions *v, struct pv_err *err)
{
    PV_TRY(add_node(s, v->obj, v->version + 1, 0, &v->node, err));
    v->version++;
    v->frozen = 0;
    return 0;
}

int pv_stitch_open_version(struct pv_stitch *s, struct pv_s_versions *v, struct pv_err *err)
{
    return v->frozen ? pv_stitch_revise(s, v, 0, err) : 0;
}

static int add_pair(sqlite3_stmt *st, uint64_t from, uint64_t seq, uint64_t to, uint64_t rel,
                    struct pv_err *err)
{
    pv_bind_u64(st, 1, from);
    pv_bind_u64(st, 2, seq);
    pv_bind_u64(st, 3, to);
    pv_bind_u64(st, 4, rel);
    return pv_db_run(st, err);
}

int pv_stitch_edge(struct pv_stitch *s, uint64_t src, uint64_t dst, enum pv_relation rel,
                   uint64_t seq, struct pv_err *err)
{
    if (s->n_edges == s->cap_edges) {
        size_t cap = s->cap_edges ? s->cap_edges * 2 : 4096;
        struct pv_new_edge *edges = reallocarray(s->edges, cap, sizeof *edges);
        if (!edges)
            return pv_fail(err, ENOMEM, "allocate edges");
        s->edges = edges;
        s->cap_edges = cap;
    }
    s->edges[s->n_edges++] = (struct pv_new_edge){src, dst, seq, rel};
    return 0;
}

static int by_dst(const void *a, const void *b)
{
    const struct pv_new_edge *x = a, *y = b;
    return x->dst != y->dst ? (x->dst < y->dst ? -1 : 1) : x->seq < y->seq ? -1 : x->seq > y->seq;
}

static int by_src(const void *a, const void *b)
{
    const struct pv_new_edge *x = a, *y = b;
    return x->src != y->src ? (x->src < y->src ? -1 : 1) : x->seq < y->seq ? -1 : x->seq > y->seq;
}

int pv_stitch_flush_edges(struct pv_stitch *s, struct pv_err *err)
{
    if (s->n_edges == 0)
        return 0;
    qsort(s->edges, s->n_edges, sizeof *s->edges, by_src);
    for (size_t i = 0; i < s->n_edges; i++) {
        const struct pv_new_edge *e = &s->edges[i];
        PV_TRY(add_pair(s->add_edge, e->src, e->seq, e->dst, e->rel, err));
    }
    qsort(s->edges, s->n_edges, sizeof *s->edges, by_dst);
    for (size_t i = 0; i < s->n_edges; i++) {
        const struct pv_new_edge *e = &s->edges[i];
        PV_TRY(add_pair(s->add_rev, e->dst, e->seq, e->src, e->rel, err));
    }
    s->n_edges = 0;
    return 0;
}

int pv_stitch_measure(struct pv_stitch *s, uint64_t obj, uint64_t len, const struct pv_value *hash,
                      struct pv_err *err)
{
    pv_bind_u64(s->set_obj, 1, len);
    bind_hash(s->set_obj, 2, hash);
    pv_bind_u64(s->set_obj, 3, obj);
    return pv_db_run(s->set_obj, err);
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
