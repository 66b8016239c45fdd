/* Edges of an answer as links among the boxes of its picture. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

/* A way from a box through folded nodes, so far. */
struct way {
    size_t node;
    struct pv_link link;
};
struct ways {
    struct way *v;
    size_t n, cap;
};

static int push(struct ways *w, size_t node, const struct pv_link *l, struct pv_err *err)
{
    if (w->n == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 64;
        struct way *v = reallocarray(w->v, cap, sizeof *v);
        if (!v)
            return pv_fail(err, ENOMEM, "draw the graph");
        w->v = v;
        w->cap = cap;
    }
    w->v[w->n++] = (struct way){node, *l};
    return 0;
}

/* Which of two folded things says more about a link. */
static const struct pv_graph_node *telling(const struct pv_graph_node *a,
                                           const struct pv_graph_node *b)
{
    static const unsigned rank[PV_N_MAX] = {
        [PV_N_SENT] = 5, [PV_N_RECEIVED] = 5, [PV_N_REQUEST] = 4,   [PV_N_RESPONSE] = 4,
        [PV_N_FILE] = 3, [PV_N_PIPE] = 2,     [PV_N_SOCKET_IN] = 1, [PV_N_SOCKET_OUT] = 1,
    };
    return !a || rank[b->type] > rank[a->type] ? b : a;
}

static enum pv_link_class class_of(const struct pv_picture *p, const struct pv_link *l)
{
    const struct pv_box *from = &p->boxes[l->from], *to = &p->boxes[l->to];
    if (*from->call && strcmp(from->call, to->call) == 0 && pv_is_activity(from->node->type) &&
        pv_is_activity(to->node->type))
        return PV_LINK_CONTINUES;
    if (l->via)
        return pv_is_payload(l->via->type) ? PV_LINK_PAYLOAD : PV_LINK_CARRIER;
    return PV_LINK_DIRECT;
}

static int add_link(struct pv_picture *p, struct pv_link l, struct pv_err *err)
{
    if (l.from == l.to)
        return 0;
    if (p->n_links == p->link_cap) {
        size_t cap = p->link_cap ? p->link_cap * 2 : 64;
        struct pv_link *links = reallocarray(p->links, cap, sizeof *links);
        if (!links)
            return pv_fail(err, ENOMEM, "draw the graph");
        p->links = links;
        p->link_cap = cap;
    }
    l.class = class_of(p, &l);
    p->links[p->n_links++] = l;
    return 0;
}

/* Follows the bytes out of one node through folded nodes up to the next boxes. seen: per node, the
 * last walk that came by; a tainted way goes on where one that is not tainted went before. */
static int follow(struct pv_drawing *d, size_t start, struct ways *todo, size_t *seen,
                  struct pv_err *err)
{
    const struct pv_link begin = {.from = d->box_of[start], .tainted = true};
    PV_TRY(push(todo, start, &begin, err));
    while (todo->n > 0) {
        struct way at = todo->v[--todo->n];
        for (size_t k = d->first[at.node]; k < d->first[at.node + 1]; k++) {
            const struct pv_graph_edge *e = &d->r->edges[d->edge_at[k]];
            size_t next = pv_drawing_index(d, e->src);
            struct pv_link l = at.link;
            if (!l.rel || e->rel == PV_R_GENERATED) {
                l.seq = e->seq;
                l.time_ns = e->time_ns;
            }
            l.rel = e->rel;
            l.tainted &= e->tainted;
            size_t mark = 2 * (start + 1) + l.tainted;
            if (d->box_of[next] != SIZE_MAX) {
                l.to = d->box_of[next];
                PV_TRY(add_link(d->p, l, err));
            } else if (seen[next] < mark) {
                seen[next] = mark;
                l.via = telling(l.via, &d->r->nodes[next]);
                PV_TRY(push(todo, next, &l, err));
            }
        }
    }
    return 0;
}

/* What makes two links between the same boxes one. */
static uint64_t key_of(const struct pv_link *l)
{
    if (l->class == PV_LINK_PAYLOAD)
        return l->via->obj;
    return l->class == PV_LINK_DIRECT ? l->rel : 0;
}

static int alike(const void *a, const void *b)
{
    const struct pv_link *x = a, *y = b;
    if (x->from != y->from)
        return x->from < y->from ? -1 : 1;
    if (x->to != y->to)
        return x->to < y->to ? -1 : 1;
    if (x->class != y->class)
        return x->class < y->class ? -1 : 1;
    uint64_t kx = key_of(x), ky = key_of(y);
    if (kx != ky)
        return kx < ky ? -1 : 1;
    return x->seq < y->seq ? -1 : x->seq > y->seq;
}

/* Pipes and sockets under a payload or beside the same account of the other witness are not told
 * twice. */
static bool merges(const struct pv_link *kept, const struct pv_link *l)
{
    if (kept->from != l->from || kept->to != l->to)
        return false;
    return l->class == PV_LINK_CARRIER || (kept->class == l->class && key_of(kept) == key_of(l));
}

static void merge(struct pv_picture *p)
{
    size_t n = 0;
    if (p->n_links)
        qsort(p->links, p->n_links, sizeof *p->links, alike);
    for (size_t i = 0; i < p->n_links; i++) {
        if (n > 0 && merges(&p->links[n - 1], &p->links[i]))
            p->links[n - 1].tainted |= p->links[i].tainted;
        else
            p->links[n++] = p->links[i];
    }
    p->n_links = n;
}

static int by_seq(const void *a, const void *b)
{
    const struct pv_link *x = a, *y = b;
    return x->seq != y->seq ? (x->seq < y->seq ? -1 : 1) : alike(a, b);
}

int pv_drawing_links(struct pv_drawing *d, struct pv_err *err)
{
    pv_autofree size_t *seen = calloc(d->r->n_nodes + 1, sizeof *seen);
    struct ways todo = {0};
    int rc = seen ? 0 : pv_fail(err, ENOMEM, "draw the graph");
    for (size_t i = 0; rc == 0 && i < d->r->n_nodes; i++)
        if (d->box_of[i] != SIZE_MAX)
            rc = follow(d, i, &todo, seen, err);
    free(todo.v);
    PV_TRY(rc);
    merge(d->p);
    if (d->p->n_links)
        qsort(d->p->links, d->p->n_links, sizeof *d->p->links, by_seq);
    return 0;
}
