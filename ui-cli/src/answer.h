/* Which part of the graph an audit command asks for. */
#pragma once
#include "audit_args.h"
#include "pv/graph.h"

/* The answer of trace, of path, or (export of a plain id) the workflow of a call. */
PV_MUST_CHECK int audit_answer(struct pv_graph *g, const struct audit_args *a,
                               struct pv_graph_result *ret, struct pv_err *err);
/* Whether a path's answer leads anywhere: over an edge, or because a source is a target itself. */
bool audit_leads(const struct pv_graph_result *r);
