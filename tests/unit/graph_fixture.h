/* A directory for a group's graphs, and the story in one of them. */
#pragma once
#include "graph_story.h"

#include "pv/graph.h"

/* Fails the test with err's text when rc is negative. */
void must(int rc, const struct pv_err *err);
/* The directory; there from set-up to tear-down of the group. */
extern char graph_dir[];
int graph_dir_make(void **state);
int graph_dir_remove(void **state);
/* Tells the story in that order into s and into a new graph, which is the caller's to close. */
struct pv_graph *graph_told(struct story *s, enum story_order order);
