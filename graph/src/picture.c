/* Folds an answer into what a person can read at a glance, without changing what it says: two boxes
 * are linked exactly when something flowed from one to the other. */
#include "picture.h"

#include <stdlib.h>
#include <string.h>

/* What stands in one box: nodes with equal keys. */
struct key {
    const char *call; /* borrowed */
    uint64_t a, b;
    size_t node;
};

/* Edges by dst, so that one can walk with the bytes, from older to newer. */
static int index_edges(struct pv_drawing *d, struct pv_err *err)
{
    const struct pv_graph_result *r = d->r;
    d->first = calloc(r->n_nodes + 2, sizeof *d->first);
    d->edge_at = calloc(r->n_edges + 1, sizeof *d->edge_at);
    d->depends = calloc(r->n_nodes + 1, sizeof *d->depends);
    d->box_of = calloc(r->n_nodes + 1, sizeof *d->box_of);
    d->step = calloc(r->n_nodes + 1, sizeof *d->step);
    d->p->boxes = calloc(r->n_nodes + 1, sizeof *d->p->boxes);
    d->p->frames = calloc(r->n_nodes + 1, sizeof *d->p->frames);
    if (!d->first || !d->edge_at || !d->depends || !d->box_of || !d->step || !d->p->boxes ||
        !d->p->frames)
        return pv_fail(err, ENOMEM, "draw the graph");
    for (size_t i = 0; i < r->n_edges; i++) {
        d->first[pv_drawing_index(d, r->edges[i].dst) + 2]++;
        if (r->edges[i].rel != PV_R_ATTRIBUTED)
            d->depends[pv_drawing_index(d, r->edges[i].src)] = true;
    }
    for (size_t i = 0; i < r->n_nodes; i++)
        d->first[i + 1] += d->first[i];
    for (size_t i = 0; i < r->n_edges; i++)
        d->edge_at[d->first[pv_drawing_index(d, r->edges[i].dst) + 1]++] = i;
    return 0;
}

/* Pipes and sockets are folded; a payload, or a file of one instance alone (/tmp), when both its
 * ends are drawn. A function is named by its frame. */
static bool folds(const struct pv_drawing *d, size_t i)
{
    const struct pv_graph_node *n = &d->r->nodes[i];
    bool between = d->depends[i] && d->first[i] < d->first[i + 1];
    switch (n->type) {
    case PV_N_FUNCTION:
        return !n->is_source && !n->is_target;
    case PV_N_REQUEST:
    case PV_N_RESPONSE:
    case PV_N_SENT:
    case PV_N_RECEIVED:
        return between;
    case PV_N_FILE:
        return between && *n->call && !n->is_source && !n->is_target;
    case PV_N_PIPE:
    case PV_N_SOCKET_IN:
    case PV_N_SOCKET_OUT:
        return !n->is_source && !n->is_target;
    case PV_N_CLIENT:
    case PV_N_UNIT:
    case PV_N_PROCESS:
    case PV_N_ENDPOINT:
    case PV_N_SECRET:
    case PV_N_LOG:
    case PV_N_DENIED:
    case PV_N_PATH_OP:
    case PV_N_MAX:
        break;
    }
    return false;
}

/* An invocation and the processes of its instance are one activity seen by two witnesses, in steps;
 * an endpoint's giving and taking are apart, or the picture would run in circles; of anything else
 * the versions are one. */
static struct key key_of(const struct pv_drawing *d, size_t i)
{
    const struct pv_graph_node *n = &d->r->nodes[i];
    if (pv_is_activity(n->type) && *n->call)
        return (struct key){n->call, d->step[i], 0, i};
    if (n->type == PV_N_PROCESS && n->grp)
        return (struct key){"g", n->grp, 0, i};
    if (n->type == PV_N_ENDPOINT)
        return (struct key){"o", n->obj, n->version > 0, i};
    return (struct key){"o", n->obj, 0, i};
}

static int compare(const struct key *x, const struct key *y)
{
    int c = strcmp(x->call, y->call);
    if (c != 0)
        return c;
    if (x->a != y->a)
        return x->a < y->a ? -1 : 1;
    return x->b < y->b ? -1 : x->b > y->b;
}

static int by_key(const void *a, const void *b)
{
    const struct key *x = a, *y = b;
    int c = compare(x, y);
    return c != 0 ? c : x->node < y->node ? -1 : x->node > y->node;
}

/* The first process names an activity best, the newest version of it. */
static unsigned speech(const struct pv_graph_node *n)
{
    return n->type == PV_N_PROCESS ? (n->is_root ? 3 : 1) : n->type == PV_N_UNIT ? 2 : 0;
}

static void add_program(struct pv_box *box, const struct pv_graph_node *n)
{
    const char *slash = strrchr(n->name, '/');
    const char *name = slash ? slash + 1 : n->name;
    if (n->type != PV_N_PROCESS || !slash || !*name)
        return;
    for (unsigned i = 0; i < box->n_programs; i++)
        if (strcmp(box->programs[i], name) == 0)
            return;
    if (box->n_programs < PV_PROGRAMS_SHOWN)
        box->programs[box->n_programs++] = name;
    else
        box->more_programs = true;
}

/* The program of the activity that speaks for the box comes first. */
static void first_program(struct pv_box *box)
{
    const char *slash = strrchr(box->node->name, '/');
    for (unsigned i = 1; slash && i < box->n_programs; i++) {
        const char *mine = box->programs[i];
        if (strcmp(mine, slash + 1) != 0)
            continue;
        memmove(&box->programs[1], &box->programs[0], i * sizeof *box->programs);
        box->programs[0] = mine;
        return;
    }
}

static void put_in_box(struct pv_drawing *d, size_t i)
{
    const struct pv_graph_node *n = &d->r->nodes[i];
    struct pv_box *box = &d->p->boxes[d->box_of[i]];
    if (!box->node) {
        box->node = n;
        box->call = pv_is_activity(n->type) || n->type == PV_N_DENIED || n->type == PV_N_PATH_OP ||
                            n->type == PV_N_FILE || n->type == PV_N_LOG
                        ? n->call
                        : "";
    }
    if (pv_is_activity(n->type) && (speech(n) > speech(box->node) ||
                                    (speech(n) == speech(box->node) && n->id > box->node->id)))
        box->node = n;
    add_program(box, n);
    box->tainted |= n->tainted;
    box->source |= n->is_source;
    box->target |= n->is_target;
}

static int fill_boxes(struct pv_drawing *d, struct pv_err *err)
{
    size_t n_nodes = d->r->n_nodes, n = 0;
    pv_autofree struct key *keys = calloc(n_nodes + 1, sizeof *keys);
    pv_autofree size_t *box_of_group = calloc(n_nodes + 1, sizeof *box_of_group);
    if (!keys || !box_of_group)
        return pv_fail(err, ENOMEM, "draw the graph");
    for (size_t i = 0; i < n_nodes; i++) {
        d->box_of[i] = SIZE_MAX;
        if (!folds(d, i))
            keys[n++] = key_of(d, i);
    }
    if (n)
        qsort(keys, n, sizeof *keys, by_key);
    for (size_t i = 0, group = 0; i < n; i++) {
        group += i > 0 && compare(&keys[i - 1], &keys[i]) != 0;
        d->box_of[keys[i].node] = group;
        box_of_group[i] = SIZE_MAX;
    }
    /* Boxes stand in the order of their first nodes. */
    for (size_t i = 0; i < n_nodes; i++) {
        if (d->box_of[i] == SIZE_MAX)
            continue;
        size_t *box = &box_of_group[d->box_of[i]];
        if (*box == SIZE_MAX)
            *box = d->p->n_boxes++;
        d->box_of[i] = *box;
        put_in_box(d, i);
    }
    for (size_t b = 0; b < d->p->n_boxes; b++)
        first_program(&d->p->boxes[b]);
    return 0;
}

/* A shared file that only one call touched stands in that call's frame. */
static int adopt(struct pv_picture *p, struct pv_err *err)
{
    pv_autofree const char **call = calloc(p->n_boxes + 1, sizeof *call);
    if (!call)
        return pv_fail(err, ENOMEM, "draw the graph");
    for (size_t i = 0; i < p->n_links; i++)
        for (unsigned side = 0; side < 2; side++) {
            size_t b = side ? p->links[i].from : p->links[i].to;
            const char *other = p->boxes[side ? p->links[i].to : p->links[i].from].call;
            bool same = !call[b] || strcmp(call[b], other) == 0;
            call[b] = same ? other : "";
        }
    for (size_t b = 0; b < p->n_boxes; b++)
        if (p->boxes[b].node->type == PV_N_FILE && !*p->boxes[b].call && call[b])
            p->boxes[b].call = call[b];
    return 0;
}

struct in_frame {
    const char *call;
    size_t box;
};

static int by_frame(const void *a, const void *b)
{
    const struct in_frame *x = a, *y = b;
    int c = strcmp(x->call, y->call);
    return c != 0 ? c : x->box < y->box ? -1 : x->box > y->box;
}

static int by_first(const void *a, const void *b)
{
    const struct pv_frame *x = a, *y = b;
    return x->first < y->first ? -1 : x->first > y->first;
}

static int make_frames(struct pv_picture *p, struct pv_err *err)
{
    pv_autofree struct in_frame *in = calloc(p->n_boxes + 1, sizeof *in);
    if (!in)
        return pv_fail(err, ENOMEM, "draw the graph");
    for (size_t b = 0; b < p->n_boxes; b++) {
        in[b] = (struct in_frame){p->boxes[b].call, b};
        p->boxes[b].next = SIZE_MAX;
    }
    if (p->n_boxes)
        qsort(in, p->n_boxes, sizeof *in, by_frame);
    for (size_t i = 0; i < p->n_boxes; i++) {
        struct pv_box *box = &p->boxes[in[i].box];
        if (!*in[i].call)
            continue;
        if (i > 0 && strcmp(in[i - 1].call, in[i].call) == 0)
            p->boxes[in[i - 1].box].next = in[i].box;
        else
            p->frames[p->n_frames++] = (struct pv_frame){.first = in[i].box, .named = box->node};
        struct pv_frame *f = &p->frames[p->n_frames - 1];
        f->tainted |= box->tainted;
        if (!*f->named->function)
            f->named = box->node;
    }
    if (p->n_frames)
        qsort(p->frames, p->n_frames, sizeof *p->frames, by_first);
    return 0;
}

static int draw(struct pv_drawing *d, struct pv_err *err)
{
    struct pv_picture *p = d->p;
    PV_TRY(index_edges(d, err));
    PV_TRY(pv_drawing_steps(d, err));
    PV_TRY(fill_boxes(d, err));
    PV_TRY(pv_drawing_links(d, err));
    PV_TRY(adopt(p, err));
    PV_TRY(make_frames(p, err));
    /* From the first request drawn; without one from the first event. */
    p->base_ns = UINT64_MAX;
    for (size_t i = 0; i < d->r->n_nodes; i++)
        if (d->r->nodes[i].call_begin_ns && d->r->nodes[i].call_begin_ns < p->base_ns)
            p->base_ns = d->r->nodes[i].call_begin_ns;
    for (size_t i = 0; i < p->n_links && p->n_frames == 0; i++)
        if (p->links[i].time_ns && p->links[i].time_ns < p->base_ns)
            p->base_ns = p->links[i].time_ns;
    return 0;
}

int pv_picture_draw(const struct pv_graph_result *r, struct pv_picture *ret, struct pv_err *err)
{
    struct pv_picture p = {0};
    struct pv_drawing d = {.r = r, .p = &p};
    int rc = draw(&d, err);
    free(d.first);
    free(d.edge_at);
    free(d.depends);
    free(d.box_of);
    free(d.step);
    if (rc < 0) {
        pv_picture_done(&p);
        return rc;
    }
    *ret = p;
    return 0;
}

void pv_picture_done(struct pv_picture *p)
{
    free(p->boxes);
    free(p->frames);
    free(p->links);
    *p = (struct pv_picture){0};
}
