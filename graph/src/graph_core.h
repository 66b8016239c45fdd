/* Inside the questions: what their files share. */
#pragma once
#include "db.h"

#include "pv/event.h"
#include "pv/graph.h"

/* The object of a node, in SQL: its own, if the node is an object's first version. */
#define PV_OBJ_OF(node) "ifnull((SELECT v.obj FROM revision v WHERE v.id = " node "), " node ")"
/* In conditions: what an inv row names, and index obj_inv leaves out. */
#define PV_NOT_OF_INV(obj) obj ".type <> 3 AND " obj ".type <> 4 AND " obj ".type <> 5"

struct pv_graph {
    sqlite3 *db;
    sqlite3_stmt *node, *out_edges, *event;
    sqlite3_stmt *back, *fore; /* neighbours with their flags */
};

/* A set of node ids with their distance. */
struct pv_reach;
PV_MUST_CHECK int pv_reach_new(struct pv_reach **ret, struct pv_err *err);
void pv_reach_free(struct pv_reach *r);
static inline void pv_reach_cleanup_(struct pv_reach **r)
{
    pv_reach_free(*r);
}
#define pv_auto_reach __attribute__((cleanup(pv_reach_cleanup_)))
/* 1 = added, 0 = was there. */
PV_MUST_CHECK int pv_reach_add(struct pv_reach *r, uint64_t id, uint32_t depth, struct pv_err *err);
bool pv_reach_has(const struct pv_reach *r, uint64_t id);
size_t pv_reach_count(const struct pv_reach *r);
/* In the order of adding. */
uint64_t pv_reach_at(const struct pv_reach *r, size_t i);
uint32_t pv_reach_depth(const struct pv_reach *r, size_t i);

PV_MUST_CHECK int pv_graph_ids_add(struct pv_graph_ids *ids, uint64_t id, struct pv_err *err);
/* Nodes of the set, the edges among them, and the basis. */
PV_MUST_CHECK int pv_graph_collect(struct pv_graph *g, const struct pv_reach *set,
                                   struct pv_graph_result *ret, struct pv_err *err);
/* A sentence about an event, printable, cut at cap. names gives object and process names. */
void pv_sentence(struct pv_graph *g, const struct pv_event *e, char *out, size_t cap);
/* An event that only tells how the runtime was loaded (files under /usr, executable mappings). */
bool pv_is_runtime_noise(struct pv_graph *g, const struct pv_event *e);
