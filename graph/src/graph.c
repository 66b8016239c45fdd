/* Opening the graph for questions; turning a set of nodes into an answer. */
#include "pv/graph.h"

#include "graph_core.h"
#include "schema.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODE_SQL                                                                                   \
    "SELECT n.id, n.obj, n.version, n.seq, o.type, o.flags, coalesce(sn.text,"                     \
    " (SELECT s.text FROM revision m JOIN str s ON s.id = m.name WHERE m.obj = n.obj"              \
    "  AND m.version < n.version ORDER BY m.version DESC LIMIT 1), so.text, ''),"                  \
    " o.grp, ifnull(g.root = o.id, 0), ifnull(i.call, ''), ifnull(sf.text, ''),"                   \
    " ifnull(i.version, 0), ifnull(i.begin_ns, 0), ifnull(i.status, 0), ifnull(e.time_ns, 0),"     \
    " ifnull(o.len, 0), o.hash"                                                                    \
    " FROM node n JOIN obj o ON o.id = n.obj LEFT JOIN grp g ON g.id = o.grp"                      \
    " LEFT JOIN inv i ON i.id = CASE WHEN o.inv > 0 THEN o.inv ELSE g.inv END"                     \
    " LEFT JOIN str sn ON sn.id = n.name LEFT JOIN str so ON so.id = o.name"                       \
    " LEFT JOIN str sf ON sf.id = i.function LEFT JOIN event e ON e.seq = n.seq WHERE n.id = ?"

static int open_into(struct pv_graph *g, const char *path, struct pv_err *err)
{
    PV_TRY(pv_db_open(&g->db, path, PV_DB_READ, err));
    PV_TRY(pv_schema_check(g->db, err));
    PV_TRY(pv_db_prepare(g->db, &g->node, NODE_SQL, err));
    PV_TRY(pv_db_prepare(g->db, &g->out_edges,
                         "SELECT d.seq, d.dst, d.rel, ifnull(e.time_ns, 0) FROM edge d"
                         " LEFT JOIN event e ON e.seq = d.seq WHERE d.src = ?"
                         " ORDER BY d.seq, d.dst, d.rel",
                         err));
    PV_TRY(pv_db_prepare(g->db, &g->event, "SELECT entry FROM event WHERE seq = ?", err));
    PV_TRY(pv_db_prepare(g->db, &g->back,
                         "SELECT d.dst, o.flags, d.rel FROM edge d"
                         " JOIN obj o ON o.id = " PV_OBJ_OF("d.dst") " WHERE d.src = ?",
                         err));
    return pv_db_prepare(g->db, &g->fore,
                         "SELECT d.src, o.flags, d.rel FROM edge d"
                         " JOIN obj o ON o.id = " PV_OBJ_OF("d.src") " WHERE d.dst = ?",
                         err);
}

int pv_graph_open(struct pv_graph **ret, const char *path, struct pv_err *err)
{
    struct pv_graph *g = calloc(1, sizeof *g);
    if (!g)
        return pv_fail(err, ENOMEM, "allocate the graph");
    int rc = open_into(g, path, err);
    if (rc < 0) {
        pv_graph_close(g);
        return rc;
    }
    *ret = g;
    return 0;
}

void pv_graph_close(struct pv_graph *g)
{
    if (!g)
        return;
    sqlite3_stmt *all[] = {g->node, g->out_edges, g->event, g->back, g->fore};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        (void)sqlite3_finalize(all[i]);
    (void)sqlite3_close_v2(g->db);
    free(g);
}

int pv_graph_size(struct pv_graph *g, uint64_t *ret, struct pv_err *err)
{
    return pv_db_number(g->db, "SELECT max(seq) + 1 FROM event", 0, ret, err);
}

void pv_graph_result_done(struct pv_graph_result *r)
{
    for (size_t i = 0; i < r->n_nodes; i++)
        free(r->nodes[i].name);
    free(r->nodes);
    free(r->edges);
    *r = (struct pv_graph_result){0};
}

const struct pv_graph_node *pv_graph_result_node(const struct pv_graph_result *r, uint64_t id)
{
    size_t lo = 0, hi = r->n_nodes;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (r->nodes[mid].id == id)
            return &r->nodes[mid];
        if (r->nodes[mid].id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return NULL;
}

static void copy_column(sqlite3_stmt *st, int col, char *out, size_t cap)
{
    const char *text = (const char *)sqlite3_column_text(st, col);
    (void)snprintf(out, cap, "%s", text ? text : "");
}

static int read_node(sqlite3_stmt *st, struct pv_graph_node *n, struct pv_err *err)
{
    const char *name = (const char *)sqlite3_column_text(st, 6);
    n->id = pv_col_u64(st, 0);
    n->obj = pv_col_u64(st, 1);
    n->version = pv_col_u64(st, 2);
    n->seq = pv_col_u64(st, 3);
    n->type = (enum pv_node_type)sqlite3_column_int(st, 4);
    n->flags = (uint32_t)sqlite3_column_int(st, 5);
    n->grp = pv_col_u64(st, 7);
    n->is_root = sqlite3_column_int(st, 8) != 0;
    copy_column(st, 9, n->call, sizeof n->call);
    copy_column(st, 10, n->function, sizeof n->function);
    n->function_version = pv_col_u64(st, 11);
    n->call_begin_ns = pv_col_u64(st, 12);
    n->status = (uint32_t)sqlite3_column_int(st, 13);
    n->time_ns = pv_col_u64(st, 14);
    n->len = pv_col_u64(st, 15);
    n->has_hash = sqlite3_column_bytes(st, 16) == PV_HASH_BYTES;
    if (n->has_hash)
        memcpy(n->hash, sqlite3_column_blob(st, 16), PV_HASH_BYTES);
    n->name = strdup(name ? name : "");
    return n->name ? 0 : pv_fail(err, ENOMEM, "allocate an answer");
}

static int load_node(struct pv_graph *g, uint64_t id, struct pv_graph_result *r, struct pv_err *err)
{
    pv_bind_u64(g->node, 1, id);
    int rc = pv_db_step(g->node, err);
    if (rc == 1) {
        rc = read_node(g->node, &r->nodes[r->n_nodes], err);
        r->n_nodes += rc == 0;
    }
    (void)sqlite3_reset(g->node);
    return rc;
}

static int add_edge(struct pv_graph_result *r, size_t *cap, const struct pv_graph_edge *e,
                    struct pv_err *err)
{
    if (r->n_edges == *cap) {
        size_t bigger = *cap ? *cap * 2 : 64;
        struct pv_graph_edge *edges = reallocarray(r->edges, bigger, sizeof *edges);
        if (!edges)
            return pv_fail(err, ENOMEM, "allocate an answer");
        r->edges = edges;
        *cap = bigger;
    }
    r->edges[r->n_edges++] = *e;
    return 0;
}

static int load_edges(struct pv_graph *g, uint64_t src, const struct pv_reach *set,
                      struct pv_graph_result *r, size_t *cap, struct pv_err *err)
{
    int rc;
    pv_bind_u64(g->out_edges, 1, src);
    while ((rc = pv_db_step(g->out_edges, err)) == 1) {
        const struct pv_graph_edge e = {
            .src = src,
            .dst = pv_col_u64(g->out_edges, 1),
            .rel = (enum pv_relation)sqlite3_column_int(g->out_edges, 2),
            .seq = pv_col_u64(g->out_edges, 0),
            .time_ns = pv_col_u64(g->out_edges, 3),
        };
        if (pv_reach_has(set, e.dst))
            rc = add_edge(r, cap, &e, err);
        if (rc < 0)
            break;
    }
    (void)sqlite3_reset(g->out_edges);
    return rc;
}

static int by_id(const void *a, const void *b)
{
    uint64_t x = ((const struct pv_graph_node *)a)->id, y = ((const struct pv_graph_node *)b)->id;
    return x < y ? -1 : x > y;
}

int pv_graph_collect(struct pv_graph *g, const struct pv_reach *set, struct pv_graph_result *ret,
                     struct pv_err *err)
{
    pv_auto_graph_result struct pv_graph_result r = {0};
    size_t n = pv_reach_count(set), cap = 0;
    uint64_t min = UINT64_MAX, max = 0;

    r.nodes = calloc(n ? n : 1, sizeof *r.nodes);
    if (!r.nodes)
        return pv_fail(err, ENOMEM, "allocate an answer");
    for (size_t i = 0; i < n; i++) {
        PV_TRY(load_node(g, pv_reach_at(set, i), &r, err));
        if (r.n_nodes)
            r.nodes[r.n_nodes - 1].depth = pv_reach_depth(set, i);
    }
    qsort(r.nodes, r.n_nodes, sizeof *r.nodes, by_id);
    for (size_t i = 0; i < r.n_nodes; i++) {
        PV_TRY(load_edges(g, r.nodes[i].id, set, &r, &cap, err));
        min = r.nodes[i].seq < min ? r.nodes[i].seq : min;
        max = r.nodes[i].seq > max ? r.nodes[i].seq : max;
    }
    PV_TRY(pv_graph_basis(g, min, max, &r.basis, err));
    *ret = r;
    r = (struct pv_graph_result){0};
    return 0;
}

void pv_graph_ids_done(struct pv_graph_ids *ids)
{
    free(ids->v);
    *ids = (struct pv_graph_ids){0};
}

int pv_graph_ids_add(struct pv_graph_ids *ids, uint64_t id, struct pv_err *err)
{
    /* Room doubles at powers of two, so that no capacity has to be kept. */
    if ((ids->n & (ids->n - 1)) == 0) {
        uint64_t *v = reallocarray(ids->v, ids->n ? ids->n * 2 : 1, sizeof *v);
        if (!v)
            return pv_fail(err, ENOMEM, "allocate an answer");
        ids->v = v;
    }
    ids->v[ids->n++] = id;
    return 0;
}
