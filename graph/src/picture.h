/* A picture before it is written: nodes folded into boxes, edges into links. */
#pragma once
#include "pv/graph.h"

enum { PV_PROGRAMS_SHOWN = 5 };

struct pv_box {
    const struct pv_graph_node *node; /* the one that speaks for it; borrowed from the result */
    const char *call;                 /* frame it stands in, "" = none; borrowed */
    size_t next;                      /* box of the same frame, SIZE_MAX = none */
    const char *programs[PV_PROGRAMS_SHOWN]; /* what an activity executed, in order; borrowed */
    unsigned n_programs;
    bool more_programs;
    bool tainted, source, target;
};
struct pv_frame {
    size_t first;                      /* box */
    const struct pv_graph_node *named; /* a node that knows function, version and time; borrowed */
    bool tainted;
};
enum pv_link_class {
    PV_LINK_CONTINUES, /* from one step of an invocation to the next */
    PV_LINK_PAYLOAD,   /* through a request, a response, what was sent or received: via */
    PV_LINK_DIRECT,    /* one edge: rel */
    PV_LINK_CARRIER,   /* through pipes, sockets, private files: via */
};
struct pv_link {
    size_t from, to; /* boxes; in the direction of the bytes */
    enum pv_link_class class;
    const struct pv_graph_node *via; /* what was folded, or NULL; borrowed */
    enum pv_relation rel;
    uint64_t seq, time_ns;
    bool tainted;
};
struct pv_picture {
    struct pv_box *boxes;
    size_t n_boxes;
    struct pv_frame *frames;
    size_t n_frames;
    struct pv_link *links;
    size_t n_links, link_cap;
    uint64_t base_ns; /* times are told from here */
};
PV_MUST_CHECK int pv_picture_draw(const struct pv_graph_result *r, struct pv_picture *ret,
                                  struct pv_err *err);
void pv_picture_done(struct pv_picture *p);

/* What the drawing's files share. */
struct pv_drawing {
    const struct pv_graph_result *r;
    size_t *edge_at; /* edges by dst: indices */
    size_t *first;   /* per node: its first in edge_at; n_nodes + 1 long */
    bool *depends;   /* per node: it depends on something other than an agent */
    size_t *box_of;  /* per node: box, or SIZE_MAX when folded */
    uint32_t *step;  /* per node: how many answers its invocation had seen by then */
    struct pv_picture *p;
};
static inline size_t pv_drawing_index(const struct pv_drawing *d, uint64_t id)
{
    return (size_t)(pv_graph_result_node(d->r, id) - d->r->nodes);
}
static inline bool pv_is_activity(enum pv_node_type t)
{
    return t == PV_N_UNIT || t == PV_N_PROCESS;
}
static inline bool pv_is_payload(enum pv_node_type t)
{
    return t == PV_N_REQUEST || t == PV_N_RESPONSE || t == PV_N_SENT || t == PV_N_RECEIVED;
}
/* picture_steps.c: fills step. */
PV_MUST_CHECK int pv_drawing_steps(struct pv_drawing *d, struct pv_err *err);
/* picture_links.c: the links among the boxes, by event. */
PV_MUST_CHECK int pv_drawing_links(struct pv_drawing *d, struct pv_err *err);
