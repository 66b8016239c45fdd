/* An invocation is drawn as steps: up to its first answer from outside (a call's response, what a
 * connection brought), up to the second, and so on. So a picture of functions that call each other
 * has no circles and reads from left to right, and what happened before a secret arrived is not
 * mixed with what happened after. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

struct arrival {
    const char *call; /* whose; borrowed */
    uint64_t seq;
    size_t node; /* the payload */
    uint32_t rank;
};

static bool arrives(const struct pv_graph_edge *e, const struct pv_graph_node *user,
                    const struct pv_graph_node *payload)
{
    if (user->type != PV_N_UNIT || e->rel != PV_R_USED || !*user->call)
        return false;
    return payload->type == PV_N_RECEIVED ||
           (payload->type == PV_N_RESPONSE && strcmp(payload->call, user->call) != 0);
}

static int by_call(const void *a, const void *b)
{
    const struct arrival *x = a, *y = b;
    int c = strcmp(x->call, y->call);
    if (c != 0)
        return c;
    return x->seq != y->seq    ? (x->seq < y->seq ? -1 : 1)
           : x->node < y->node ? -1
                               : x->node > y->node;
}

static int latest_first(const void *a, const void *b)
{
    const struct arrival *x = a, *y = b;
    if (x->rank != y->rank)
        return x->rank > y->rank ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

static size_t collect(const struct pv_drawing *d, struct arrival *out)
{
    size_t n = 0;
    for (size_t i = 0; i < d->r->n_edges; i++) {
        const struct pv_graph_edge *e = &d->r->edges[i];
        const struct pv_graph_node *user = pv_graph_result_node(d->r, e->src);
        const struct pv_graph_node *payload = pv_graph_result_node(d->r, e->dst);
        if (arrives(e, user, payload))
            out[n++] = (struct arrival){user->call, e->seq, (size_t)(payload - d->r->nodes), 0};
    }
    if (n)
        qsort(out, n, sizeof *out, by_call);
    for (size_t i = 0; i < n; i++)
        out[i].rank = i > 0 && strcmp(out[i - 1].call, out[i].call) == 0 ? out[i - 1].rank + 1 : 1;
    if (n)
        qsort(out, n, sizeof *out, latest_first);
    return n;
}

/* Everything of the call that depends on node `from` is at that step or a later one. Later steps
 * were spread before, so each node is set once. */
static void spread(struct pv_drawing *d, const struct arrival *a, size_t *stack)
{
    size_t n = 0;
    stack[n++] = a->node;
    while (n > 0) {
        size_t at = stack[--n];
        for (size_t k = d->first[at]; k < d->first[at + 1]; k++) {
            size_t next = pv_drawing_index(d, d->r->edges[d->edge_at[k]].src);
            if (d->step[next] > 0 || strcmp(d->r->nodes[next].call, a->call) != 0)
                continue;
            d->step[next] = a->rank;
            stack[n++] = next;
        }
    }
}

int pv_drawing_steps(struct pv_drawing *d, struct pv_err *err)
{
    pv_autofree struct arrival *all = calloc(d->r->n_edges + 1, sizeof *all);
    pv_autofree size_t *stack = calloc(d->r->n_nodes + 1, sizeof *stack);
    if (!all || !stack)
        return pv_fail(err, ENOMEM, "draw the graph");
    size_t n = collect(d, all);
    for (size_t i = 0; i < n; i++)
        spread(d, &all[i], stack);
    return 0;
}
