/* Traces and paths. Edges point from newer to older, so a backward trace follows `edge` and a
 * forward trace `rev`; no time predicate is needed. */
#include "graph_core.h"

enum { NODES_DEFAULT = 100000 };

struct walk {
    struct pv_graph *g;
    const struct pv_graph_limits *limits;
    const struct pv_reach *within; /* stay inside this set, or NULL */
    struct pv_reach *seen;
    bool truncated;
};

static bool wanted(const struct walk *w, sqlite3_stmt *st, uint64_t id)
{
    uint64_t flags = pv_col_u64(st, 1);
    uint64_t rel = pv_col_u64(st, 2);
    if (w->within && !pv_reach_has(w->within, id))
        return false;
    if (w->limits->all)
        return true;
    return !(flags & PV_NF_RUNTIME) && rel != PV_R_LOADED;
}

static int expand(struct walk *w, size_t i, sqlite3_stmt *st, struct pv_err *err)
{
    uint32_t depth = pv_reach_depth(w->seen, i) + 1;
    size_t max = w->limits->nodes ? w->limits->nodes : NODES_DEFAULT;
    int rc;
    pv_bind_u64(st, 1, pv_reach_at(w->seen, i));
    while ((rc = pv_db_step(st, err)) == 1) {
        uint64_t id = pv_col_u64(st, 0);
        if (!wanted(w, st, id))
            continue;
        if (pv_reach_count(w->seen) >= max && !pv_reach_has(w->seen, id)) {
            w->truncated = true;
            continue;
        }
        rc = pv_reach_add(w->seen, id, depth, err);
        if (rc < 0)
            break;
    }
    (void)sqlite3_reset(st);
    return rc;
}

static int walk(struct walk *w, const struct pv_graph_ids *start, enum pv_graph_direction direction,
                struct pv_err *err)
{
    sqlite3_stmt *st = direction == PV_FORWARD ? w->g->fore : w->g->back;
    for (size_t i = 0; i < start->n; i++)
        if (!w->within || pv_reach_has(w->within, start->v[i]))
            PV_TRY(pv_reach_add(w->seen, start->v[i], 0, err));
    for (size_t i = 0; i < pv_reach_count(w->seen); i++) {
        if (w->limits->depth && pv_reach_depth(w->seen, i) >= w->limits->depth)
            break;
        PV_TRY(expand(w, i, st, err));
    }
    return 0;
}

static void mark(struct pv_graph_result *r, const struct pv_graph_ids *ids, bool source)
{
    for (size_t i = 0; i < ids->n; i++) {
        const struct pv_graph_node *found = pv_graph_result_node(r, ids->v[i]);
        if (!found)
            continue;
        struct pv_graph_node *n = &r->nodes[found - r->nodes];
        if (source)
            n->is_source = true;
        else
            n->is_target = true;
    }
}

int pv_graph_trace(struct pv_graph *g, const struct pv_graph_ids *start,
                   enum pv_graph_direction direction, const struct pv_graph_limits *limits,
                   struct pv_graph_result *ret, struct pv_err *err)
{
    pv_auto_reach struct pv_reach *seen = NULL;
    PV_TRY(pv_reach_new(&seen, err));
    struct walk w = {.g = g, .limits = limits, .seen = seen};
    PV_TRY(walk(&w, start, direction, err));
    PV_TRY(pv_graph_collect(g, seen, ret, err));
    ret->basis.truncated = w.truncated;
    mark(ret, start, direction == PV_FORWARD);
    return 0;
}

static bool is_secretive(const struct pv_graph_node *n)
{
    return n->type != PV_N_REQUEST && n->type != PV_N_CLIENT && n->type != PV_N_UNIT &&
           n->type != PV_N_PROCESS;
}

/* Taint flows against the edges, from older to newer. Node ids grow with time but for the joins of
 * the two accounts, so it takes few rounds. */
static void taint(struct pv_graph_result *r)
{
    bool only_requests = true, more = true;
    for (size_t i = 0; i < r->n_nodes; i++)
        if (r->nodes[i].is_source && is_secretive(&r->nodes[i]))
            only_requests = false;
    for (size_t i = 0; i < r->n_nodes; i++)
        r->nodes[i].tainted =
            r->nodes[i].is_source && (only_requests || is_secretive(&r->nodes[i]));
    while (more) {
        more = false;
        for (size_t i = 0; i < r->n_edges; i++) {
            struct pv_graph_edge *e = &r->edges[i];
            const struct pv_graph_node *dst = pv_graph_result_node(r, e->dst);
            const struct pv_graph_node *src = pv_graph_result_node(r, e->src);
            if (e->tainted || !dst || !src || !dst->tainted)
                continue;
            e->tainted = true;
            more = true;
            r->nodes[src - r->nodes].tainted = true;
        }
    }
}

/* Who sent the requests on the way: they are older than any source, so no path holds them. */
static int add_clients(struct pv_graph *g, struct pv_reach *set, struct pv_err *err)
{
    size_t n = pv_reach_count(set);
    int rc = 0;
    for (size_t i = 0; i < n && rc >= 0; i++) {
        pv_bind_u64(g->back, 1, pv_reach_at(set, i));
        while ((rc = pv_db_step(g->back, err)) == 1) {
            if (pv_col_u64(g->back, 2) == PV_R_ATTRIBUTED)
                rc = pv_reach_add(set, pv_col_u64(g->back, 0), 0, err);
            if (rc < 0)
                break;
        }
        (void)sqlite3_reset(g->back);
    }
    return rc;
}

int pv_graph_path(struct pv_graph *g, const struct pv_graph_ids *from,
                  const struct pv_graph_ids *to, const struct pv_graph_limits *limits,
                  struct pv_graph_result *ret, struct pv_err *err)
{
    pv_auto_reach struct pv_reach *ahead = NULL;
    pv_auto_reach struct pv_reach *both = NULL;
    PV_TRY(pv_reach_new(&ahead, err));
    PV_TRY(pv_reach_new(&both, err));
    struct walk fore = {.g = g, .limits = limits, .seen = ahead};
    PV_TRY(walk(&fore, from, PV_FORWARD, err));
    /* Whatever lies between a node of `ahead` and a target is in `ahead` too: stay inside it. */
    struct walk back = {.g = g, .limits = limits, .within = ahead, .seen = both};
    PV_TRY(walk(&back, to, PV_BACKWARD, err));
    PV_TRY(add_clients(g, both, err));
    PV_TRY(pv_graph_collect(g, both, ret, err));
    ret->basis.truncated = fore.truncated || back.truncated;
    mark(ret, from, true);
    mark(ret, to, false);
    taint(ret);
    return 0;
}

int pv_graph_workflow(struct pv_graph *g, const char *call, struct pv_graph_result *ret,
                      struct pv_err *err)
{
    pv_autostmt sqlite3_stmt *st = NULL;
    pv_auto_reach struct pv_reach *set = NULL;
    int rc;
    PV_TRY(pv_reach_new(&set, err));
    PV_TRY(pv_db_prepare(
        g->db, &st,
        "WITH RECURSIVE up(id, caller) AS (SELECT id, caller FROM inv WHERE call = ?"
        "  UNION SELECT i.id, i.caller FROM inv i JOIN up ON i.id = up.caller),"
        " down(id) AS (SELECT id FROM up WHERE caller = 0"
        "  UNION SELECT i.id FROM inv i JOIN down ON i.caller = down.id AND i.caller > 0),"
        " objs(id) AS (SELECT i.unit FROM down JOIN inv i ON i.id = down.id"
        "  UNION SELECT i.request FROM down JOIN inv i ON i.id = down.id WHERE i.request > 0"
        "  UNION SELECT i.response FROM down JOIN inv i ON i.id = down.id WHERE i.response > 0"
        "  UNION SELECT o.id FROM down JOIN obj o ON o.inv = down.id AND o.inv > 0"
        "  AND " PV_NOT_OF_INV("o") ")"
                                    " SELECT id FROM objs UNION SELECT v.id FROM objs JOIN "
                                    "revision v ON v.obj = objs.id"
                                    " ORDER BY 1",
        err));
    pv_bind_text(st, 1, call);
    while ((rc = pv_db_step(st, err)) == 1)
        PV_TRY(pv_reach_add(set, pv_col_u64(st, 0), 0, err));
    PV_TRY(rc);
    if (pv_reach_count(set) == 0)
        return pv_refuse(err, ENOENT, "no call '%s' in the graph", call);
    return pv_graph_collect(g, set, ret, err);
}
