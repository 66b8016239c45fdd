/* Answers as pictures and data. */
#pragma once
#include "pv/buf.h"
#include "pv/graph.h"

/* A picture for Graphviz (dot). Bytes flow from left to right; functions are frames, versions of
 * one thing and what merely carries bytes (pipes, sockets, payloads between functions) are folded,
 * so that the tainted way stands out. Equal answers give equal text. Appends to out. */
PV_MUST_CHECK int pv_graph_write_dot(const struct pv_graph_result *r, const char *title,
                                     struct pv_buf *out, struct pv_err *err);
/* {"nodes": […], "edges": […], "basis": {…}}, every node and edge unfolded. Appends to out. */
PV_MUST_CHECK int pv_graph_write_json(const struct pv_graph_result *r, struct pv_buf *out,
                                      struct pv_err *err);
/* The basis as one sentence: "rests on 1234 log entries (1230 signed, root 1f0a…); …". */
void pv_graph_basis_text(const struct pv_graph_basis *b, char *out, size_t cap);
/* Copies text so that it can be shown: control bytes and broken UTF-8 as \xHH, at most max
 * characters (the middle gives way to …). cap counts bytes. */
void pv_graph_printable(const char *text, size_t max, char *out, size_t cap);
