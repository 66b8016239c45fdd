/* The picture as text for Graphviz. */
#include "picture.h"

#include "pv/graph_export.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define RED "#c62828"
#define INK "#37474f"
#define PALE "#90a4ae"
#define SOFT "#546e7a"

enum { NAME_SHOWN = 42, TARGET_SHOWN = 48, CALL_SHOWN = 8 };

/* Text inside an HTML-like label. */
static void html(struct pv_buf *b, const char *text, size_t max)
{
    char shown[1024];
    pv_graph_printable(text, max, shown, sizeof shown);
    for (const char *p = shown; *p; p++) {
        if (*p == '&')
            pv_buf_printf(b, "&amp;");
        else if (*p == '<')
            pv_buf_printf(b, "&lt;");
        else if (*p == '>')
            pv_buf_printf(b, "&gt;");
        else if (*p == '"')
            pv_buf_printf(b, "&quot;");
        else
            pv_buf_raw(b, p, 1);
    }
}

static void bytes_text(uint64_t n, char *out, size_t cap)
{
    if (n < 1000)
        (void)snprintf(out, cap, "%llu B", (unsigned long long)n);
    else if (n < 1000000)
        (void)snprintf(out, cap, "%.1f kB", (double)n / 1e3);
    else
        (void)snprintf(out, cap, "%.1f MB", (double)n / 1e6);
}

static void time_text(const struct pv_picture *p, uint64_t ns, char *out, size_t cap)
{
    double ms = ((double)ns - (double)p->base_ns) / 1e6;
    if (ns == 0 || p->base_ns == UINT64_MAX)
        out[0] = 0;
    else
        (void)snprintf(out, cap, ms < 10000 ? "+%.1f ms" : "+%.0f ms", ms < 0 ? 0 : ms);
}

static const char *shape(enum pv_node_type t)
{
    switch (t) {
    case PV_N_CLIENT:
        return "shape=cds, margin=\"0.2,0.1\", style=filled, fillcolor=\"#eceff1\"";
    case PV_N_FUNCTION:
        return "shape=component, style=filled, fillcolor=\"#ede7f6\"";
    case PV_N_REQUEST:
    case PV_N_RESPONSE:
    case PV_N_SENT:
    case PV_N_RECEIVED:
    case PV_N_LOG:
        return "shape=note, style=filled, fillcolor=\"#fffde7\"";
    case PV_N_UNIT:
    case PV_N_PROCESS:
        return "shape=box, style=\"filled,rounded\", fillcolor=\"#e3f2fd\"";
    case PV_N_FILE:
        return "shape=folder, style=filled, fillcolor=\"#f1f8e9\"";
    case PV_N_SECRET:
        return "shape=cylinder, style=filled, fillcolor=\"#ffebee\"";
    case PV_N_ENDPOINT:
        return "shape=octagon, peripheries=2, margin=\"0.04,0.04\", style=filled, "
               "fillcolor=\"#fff3e0\"";
    case PV_N_DENIED:
        return "shape=octagon, style=\"filled,dashed\", fillcolor=\"#fafafa\"";
    case PV_N_PIPE:
    case PV_N_SOCKET_IN:
    case PV_N_SOCKET_OUT:
    case PV_N_PATH_OP:
    case PV_N_MAX:
        break;
    }
    return "shape=ellipse, style=filled, fillcolor=\"#fafafa\"";
}

static void programs(const struct pv_box *box, struct pv_buf *b)
{
    for (unsigned i = 0; i < box->n_programs; i++) {
        pv_buf_printf(b, "%s", i ? ", " : "");
        html(b, box->programs[i], NAME_SHOWN / 2);
    }
    pv_buf_printf(b, "%s", box->more_programs ? ", …" : "");
}

/* First line of a box: what it is called. */
static void box_name(const struct pv_box *box, struct pv_buf *b)
{
    const struct pv_graph_node *n = box->node;
    bool payload = n->type == PV_N_REQUEST || n->type == PV_N_RESPONSE || n->type == PV_N_LOG;
    if (payload)
        pv_buf_printf(b, "%s", n->type == PV_N_LOG ? "log" : pv_node_type_name(n->type));
    else if (box->n_programs)
        programs(box, b);
    else if (n->type == PV_N_UNIT)
        pv_buf_printf(b, "invocation");
    else
        html(b, n->name, NAME_SHOWN);
}

/* Second line: part in the answer, kind, size, hash, id. */
static void box_details(const struct pv_box *box, struct pv_buf *b)
{
    const struct pv_graph_node *n = box->node;
    char size[32], hash[2 * 4 + 1];
    if (box->source || box->target)
        pv_buf_printf(b, "<B>%s</B> · ", box->source ? "source" : "target");
    if (pv_is_payload(n->type)) {
        bytes_text(n->len, size, sizeof size);
        pv_buf_printf(b, "%s", size);
        if (n->type == PV_N_RESPONSE && n->status)
            pv_buf_printf(b, " · %u", n->status);
        if (n->has_hash) {
            pv_hex(n->hash, 4, hash);
            pv_buf_printf(b, " · #%s…", hash);
        }
    } else if (pv_is_activity(n->type)) {
        pv_buf_printf(b, n->is_root || n->type == PV_N_UNIT ? "instance" : "process");
    } else {
        pv_buf_printf(b, "%s", pv_node_type_name(n->type));
    }
    pv_buf_printf(b, " · n%llu", (unsigned long long)n->id);
}

static void write_box(const struct pv_picture *p, size_t i, const char *indent, struct pv_buf *b)
{
    const struct pv_box *box = &p->boxes[i];
    bool red = box->tainted || box->node->flags & PV_NF_DENIED;
    pv_buf_printf(b, "%sb%zu [%s, color=\"%s\", penwidth=%s, label=<<B>", indent, i,
                  shape(box->node->type), red ? RED : INK, box->tainted ? "2.2" : "1");
    box_name(box, b);
    pv_buf_printf(b, "</B><BR/><FONT POINT-SIZE=\"10\" COLOR=\"" SOFT "\">");
    box_details(box, b);
    pv_buf_printf(b, "</FONT>>];\n");
}

static const char *direct_word(const struct pv_picture *p, const struct pv_link *l)
{
    enum pv_node_type to = p->boxes[l->to].node->type;
    enum pv_node_type from = p->boxes[l->from].node->type;
    switch (l->rel) {
    case PV_R_USED:
        return from == PV_N_REQUEST ? "asks" : from == PV_N_RESPONSE ? "returns" : "is read";
    case PV_R_GENERATED:
        return to == PV_N_DENIED     ? "tries"
               : to == PV_N_RESPONSE ? "answers"
               : to == PV_N_REQUEST  ? "calls"
               : to == PV_N_SENT     ? "sends"
               : to == PV_N_PATH_OP  ? "does"
                                     : "writes";
    case PV_R_INFORMED:
        return "forks";
    case PV_R_ATTRIBUTED:
        return "sends";
    case PV_R_ASSOCIATED:
        return "runs as";
    case PV_R_EXECUTED:
        return "is executed";
    case PV_R_LOADED:
        return "is loaded";
    case PV_R_DERIVED:
        return to == PV_N_ENDPOINT ? "leaves to" : from == PV_N_SECRET ? "is shown as" : "gives";
    case PV_R_REVISION:
    case PV_R_MAX:
        break;
    }
    return "becomes";
}

/* "POST http://HOST:PORT/path" as "POST /path": the endpoint's box tells the rest. */
static void sent_words(const char *name, struct pv_buf *b)
{
    const char *url = strstr(name, " http://");
    const char *path = url ? strchr(url + 8, '/') : NULL;
    char method[16];
    if (!path || url - name >= (ptrdiff_t)sizeof method) {
        html(b, name, TARGET_SHOWN);
        return;
    }
    (void)snprintf(method, sizeof method, "%.*s ", (int)(url - name), name);
    html(b, method, sizeof method);
    html(b, path, TARGET_SHOWN);
}

static void payload_words(const char *verb, const struct pv_graph_node *n, struct pv_buf *b)
{
    char size[32];
    bytes_text(n->len, size, sizeof size);
    if (n->type == PV_N_SENT)
        sent_words(n->name, b);
    else
        pv_buf_printf(b, "%s", verb);
    pv_buf_printf(b, " · %s", size);
}

static void link_words(const struct pv_picture *p, const struct pv_link *l, struct pv_buf *b)
{
    enum pv_node_type from = p->boxes[l->from].node->type, to = p->boxes[l->to].node->type;
    if (l->class == PV_LINK_DIRECT)
        pv_buf_printf(b, "%s", direct_word(p, l));
    else if (l->class == PV_LINK_CARRIER)
        pv_buf_printf(b, "%s",
                      from == PV_N_REQUEST        ? "asks"
                      : to == PV_N_RESPONSE       ? "answers"
                      : l->via->type == PV_N_FILE ? "file"
                      : l->via->type == PV_N_PIPE ? "pipe"
                                                  : "socket");
    else if (l->via->type == PV_N_REQUEST)
        payload_words("calls", l->via, b);
    else if (l->via->type == PV_N_RESPONSE)
        payload_words("returns", l->via, b);
    else
        payload_words(l->via->type == PV_N_SENT ? "sends" : "answers", l->via, b);
}

static void write_link(const struct pv_picture *p, const struct pv_link *l, struct pv_buf *b)
{
    char when[48];
    pv_buf_printf(b, "  b%zu -> b%zu [color=\"%s\", fontcolor=\"%s\", penwidth=%s", l->from, l->to,
                  l->tainted ? RED : PALE, l->tainted ? RED : SOFT, l->tainted ? "2.4" : "1.2");
    if (l->class == PV_LINK_CONTINUES) {
        /* The invocation itself, going on: heavy, so that its steps stand in one row. */
        pv_buf_printf(b, ", style=dashed, weight=8];\n");
        return;
    }
    time_text(p, l->time_ns, when, sizeof when);
    pv_buf_printf(b, ", label=<");
    link_words(p, l, b);
    pv_buf_printf(b, "<BR/><FONT POINT-SIZE=\"9\">%s%se%llu</FONT>>];\n", when, *when ? " · " : "",
                  (unsigned long long)l->seq);
}

static void write_frame(const struct pv_picture *p, const struct pv_frame *f, struct pv_buf *b)
{
    const struct pv_graph_node *n = f->named;
    const char *call = p->boxes[f->first].call;
    char when[48];
    time_text(p, n->call_begin_ns, when, sizeof when);
    pv_buf_printf(b,
                  "  subgraph \"cluster_%s\" {\n    style=\"rounded,filled\";"
                  " fillcolor=\"#f7f9fa\"; color=\"%s\"; penwidth=%s; margin=16;\n"
                  "    label=<<B><FONT POINT-SIZE=\"14\">",
                  call, f->tainted ? RED : PALE, f->tainted ? "1.6" : "1");
    html(b, *n->function ? n->function : "function", NAME_SHOWN);
    pv_buf_printf(b, "</FONT></B>");
    if (n->function_version)
        pv_buf_printf(b, " v%llu", (unsigned long long)n->function_version);
    pv_buf_printf(b, "<BR ALIGN=\"LEFT\"/><FONT POINT-SIZE=\"10\" COLOR=\"" SOFT "\">call %s%s%s",
                  call, *when ? " · " : "", when);
    if (n->status)
        pv_buf_printf(b, " · %u", n->status);
    pv_buf_printf(b, "</FONT><BR ALIGN=\"LEFT\"/>>; labeljust=l;\n");
    for (size_t i = f->first; i != SIZE_MAX; i = p->boxes[i].next)
        write_box(p, i, "    ", b);
    pv_buf_printf(b, "  }\n");
}

static void base_text(uint64_t ns, char *out, size_t cap)
{
    time_t s = (time_t)(ns / 1000000000);
    struct tm tm;
    char day[40] = "";
    out[0] = 0;
    if (ns == UINT64_MAX || !gmtime_r(&s, &tm) ||
        strftime(day, sizeof day, "%Y-%m-%d %H:%M:%S", &tm) == 0)
        return;
    (void)snprintf(out, cap, "times from %s.%03u UTC", day, (unsigned)(ns / 1000000 % 1000));
}

/* Question, what red means, when it was, what it rests on; what is missing in strong type. */
static void write_title(const struct pv_picture *p, const struct pv_graph_result *r,
                        const char *title, struct pv_buf *b)
{
    char basis[400], when[80];
    bool red = false;
    for (size_t i = 0; i < p->n_boxes; i++)
        red |= p->boxes[i].tainted;
    base_text(p->base_ns, when, sizeof when);
    pv_graph_basis_text(&r->basis, basis, sizeof basis);
    pv_buf_printf(b, "  label=<<FONT POINT-SIZE=\"17\"><B>");
    html(b, title, 200);
    pv_buf_printf(b, "</B></FONT><BR ALIGN=\"LEFT\"/><FONT POINT-SIZE=\"10\" COLOR=\"" SOFT "\">");
    if (red)
        pv_buf_printf(b, "<FONT COLOR=\"" RED "\"><B>red</B></FONT>: what the source reached · ");
    html(b, when, 80);
    pv_buf_printf(b, "%s", *when ? " · " : "");
    html(b, basis, 300);
    pv_buf_printf(b, "</FONT><BR ALIGN=\"LEFT\"/>");
    if (r->basis.witness_missing)
        pv_buf_printf(b,
                      "<FONT POINT-SIZE=\"12\" COLOR=\"#e65100\"><B>The outside witness is or was "
                      "missing: files and processes may not be shown.</B></FONT>"
                      "<BR ALIGN=\"LEFT\"/>");
    if (r->basis.truncated)
        pv_buf_printf(b, "<FONT POINT-SIZE=\"12\" COLOR=\"#e65100\"><B>Cut short by a limit.</B>"
                         "</FONT><BR ALIGN=\"LEFT\"/>");
    pv_buf_printf(b, ">;\n");
}

int pv_graph_write_dot(const struct pv_graph_result *r, const char *title, struct pv_buf *out,
                       struct pv_err *err)
{
    struct pv_picture p;
    PV_TRY(pv_picture_draw(r, &p, err));
    pv_buf_printf(out,
                  "digraph provost {\n"
                  "  rankdir=LR; newrank=true; nodesep=0.4; ranksep=0.3; splines=true;\n"
                  "  fontname=\"Helvetica\"; labelloc=t; labeljust=l; bgcolor=white; pad=0.3;\n"
                  "  node [fontname=\"Helvetica\", fontsize=13, margin=\"0.14,0.08\"];\n"
                  "  edge [fontname=\"Helvetica\", fontsize=11, arrowsize=0.8];\n");
    write_title(&p, r, title, out);
    for (size_t i = 0; i < p.n_boxes; i++)
        if (!*p.boxes[i].call)
            write_box(&p, i, "  ", out);
    for (size_t i = 0; i < p.n_frames; i++)
        write_frame(&p, &p.frames[i], out);
    for (size_t i = 0; i < p.n_links; i++)
        write_link(&p, &p.links[i], out);
    pv_buf_printf(out, "}\n");
    pv_picture_done(&p);
    return pv_buf_check(out, "picture", err);
}
