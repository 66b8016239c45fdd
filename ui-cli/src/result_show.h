/* Nodes and edges of the graph's answers. */
#pragma once
#include "cli.h"
#include "pv/graph.h"

#include <stdio.h>

/* A table of nodes. */
void cli_nodes_print(const struct cli *cli, const struct pv_graph_result *r);
/* Nodes in order of time, each with the edges to what it depends on; backward: newest first. */
void cli_result_print(const struct cli *cli, const struct pv_graph_result *r, bool backward);
