/* The graph as commands open it, and what their answers rest on. */
#pragma once
#include "cli.h"
#include "pv/graph.h"

#include <stdio.h>

/* Opens the graph of the state directory as it is. */
PV_MUST_CHECK int cli_evidence_look(const struct cli *cli, struct pv_graph **ret,
                                    struct pv_err *err);
/* While the daemon runs, makes the graph hurry and waits until it holds what the log held at the
 * call, so that an invocation answered before is in the answer; for as long as it comes closer. */
PV_MUST_CHECK int cli_evidence_open(const struct cli *cli, struct pv_graph **ret,
                                    struct pv_err *err);
/* What an answer rests on, as one line. */
void cli_basis_print(FILE *f, const struct pv_graph_basis *basis);
/* {"log_size", "root", …} as in every JSON answer. */
json_t *cli_basis_json(const struct pv_graph_basis *basis);
/* {"nodes":[…],"edges":[…],"basis":{…}}; NULL when memory runs out. */
json_t *cli_result_json(const struct pv_graph_result *r);
