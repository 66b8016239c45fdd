/* The graph database as a file: check it, digest it, make it anew. */
#pragma once
#include "cli.h"
#include "pv/graph_follow.h"

/* PATH_MAX-sized path of the state directory's graph. */
PV_MUST_CHECK int cli_graph_path(const struct cli *cli, char out[PV_PATH_MAX], struct pv_err *err);
/* The first event that the graph in that file has; 0 also when there is no graph. */
PV_MUST_CHECK int cli_graph_first(const char *path, uint64_t *ret, struct pv_err *err);
/* Checks the graph against itself and the log. *ret_present is false (and the rest untouched) when
 * there is no graph: it can be rebuilt, so that is no finding. */
PV_MUST_CHECK int cli_graph_check(const struct cli *cli, const struct pv_note_key *key,
                                  bool *ret_present, struct pv_graph_check *ret,
                                  struct pv_err *err);
