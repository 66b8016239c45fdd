#include "answer.h"

static int resolve_all(struct pv_graph *g, const struct audit_id_list *list,
                       enum pv_graph_side side, struct pv_graph_ids *ids, struct pv_err *err)
{
    for (unsigned i = 0; i < list->n; i++)
        PV_TRY(pv_graph_resolve(g, list->v[i], side, ids, err));
    return 0;
}

static int answer_path(struct pv_graph *g, const struct audit_args *a,
                       const struct pv_graph_limits *limits, struct pv_graph_result *ret,
                       struct pv_err *err)
{
    pv_auto_graph_ids struct pv_graph_ids from = {0};
    pv_auto_graph_ids struct pv_graph_ids to = {0};
    PV_TRY(resolve_all(g, &a->from, PV_SIDE_FROM, &from, err));
    PV_TRY(resolve_all(g, &a->to, PV_SIDE_TO, &to, err));
    return pv_graph_path(g, &from, &to, limits, ret, err);
}

static int answer_trace(struct pv_graph *g, const struct audit_args *a,
                        const struct pv_graph_limits *limits, struct pv_graph_result *ret,
                        struct pv_err *err)
{
    pv_auto_graph_ids struct pv_graph_ids start = {0};
    PV_TRY(resolve_all(g, &a->ids, PV_SIDE_ANY, &start, err));
    return pv_graph_trace(g, &start, a->back ? PV_BACKWARD : PV_FORWARD, limits, ret, err);
}

bool audit_leads(const struct pv_graph_result *r)
{
    bool meets = r->n_edges > 0;
    for (size_t i = 0; i < r->n_nodes; i++)
        meets |= r->nodes[i].is_source && r->nodes[i].is_target;
    return meets;
}

int audit_answer(struct pv_graph *g, const struct audit_args *a, struct pv_graph_result *ret,
                 struct pv_err *err)
{
    const struct pv_graph_limits limits = {.depth = (uint32_t)a->depth, .all = a->all};
    char call[PV_CALL_ID_CHARS + 1];
    if (a->path || a->command == AUDIT_PATH)
        return answer_path(g, a, &limits, ret, err);
    if (a->back || a->forward)
        return answer_trace(g, a, &limits, ret, err);
    PV_TRY(pv_graph_resolve_call(g, a->ids.v[0], call, err));
    return pv_graph_workflow(g, call, ret, err);
}
