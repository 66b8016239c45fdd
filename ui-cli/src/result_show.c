#include "result_show.h"

#include "pv/clock.h"
#include "pv/escape.h"
#include "pv/table.h"
#include "pv/units.h"

#include <inttypes.h>
#include <string.h>

enum { NAME_SHOWN_MAX = 120, NAME_COLUMN_MAX = 72 };

/* Where a node belongs: its function and call, short. */
static const char *place(const struct pv_graph_node *n, char *out, size_t cap)
{
    char function[80];
    snprintf(out, cap, "%s%s%s", cli_escape_str(n->function, function, sizeof function),
             *n->function && *n->call ? " " : "", n->call);
    return out;
}

void cli_nodes_print(const struct cli *cli, const struct pv_graph_result *r)
{
    static const char *const titles[] = {"ID", "TYPE", "NAME", "FUNCTION", "CALL", "EVENT", "TIME"};
    struct cli_table *t = cli_table_new(titles, sizeof titles / sizeof *titles);
    char stamp[64];
    for (size_t i = 0; i < r->n_nodes; i++) {
        const struct pv_graph_node *n = &r->nodes[i];
        cli_table_cellf(t, "n%" PRIu64, n->id);
        cli_table_cell(t, pv_node_type_name(n->type));
        cli_table_cell_cut(t, n->name, NAME_COLUMN_MAX);
        cli_table_cell(t, *n->function ? n->function : NULL);
        cli_table_cell(t, *n->call ? n->call : NULL);
        cli_table_cellf(t, "e%" PRIu64, n->seq);
        cli_table_cell(t, cli_format_time(n->time_ns, stamp, sizeof stamp));
    }
    cli_table_print(t, stdout, cli->colour);
    cli_table_free(t);
}

/* "/usr/bin/cat of make-caption", short: as the thing at the other end of an edge. */
static const char *call_it(const struct pv_graph_node *n, char *out, size_t cap)
{
    char name[NAME_SHOWN_MAX / 2];
    bool named = n->type != PV_N_REQUEST && n->type != PV_N_RESPONSE && n->type != PV_N_UNIT &&
                 n->type != PV_N_LOG;
    const char *type = pv_node_type_name(n->type);
    cli_escape_str(named ? n->name : n->function, name, sizeof name);
    /* a process whose program is not known is called "process 123" */
    if (strncmp(name, type, strlen(type)) == 0 && name[strlen(type)] == ' ')
        snprintf(out, cap, "%s", name);
    else
        snprintf(out, cap, "%s %s", type, name);
    return out;
}

/* When, where, what; the time is told from the first. */
static void print_node(const struct cli *cli, const struct pv_graph_node *n, uint64_t base_ns,
                       bool mark)
{
    char what[NAME_SHOWN_MAX];
    char where[160];
    char id[24];
    bool red = mark && cli->colour && n->tainted;
    snprintf(id, sizeof id, "n%" PRIu64, n->id);
    printf("%+11.3f ms  %-8s %-30s %s%s%s%s%s\n",
           ((double)n->time_ns - (double)base_ns) / (double)PV_NS_PER_MS, id,
           place(n, where, sizeof where), red ? "\033[31;1m" : "", call_it(n, what, sizeof what),
           red ? "\033[0m" : "",
           n->flags & PV_NF_DENIED   ? "  denied"
           : n->flags & PV_NF_SECRET ? "  secret"
                                     : "",
           mark && n->tainted && !cli->colour ? "  tainted" : "");
}

/* Edges stand in order of src: the first of node id, by bisection. */
static size_t first_edge(const struct pv_graph_result *r, uint64_t id)
{
    size_t low = 0;
    size_t high = r->n_edges;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (r->edges[mid].src < id)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

static int by_time(const void *a, const void *b)
{
    const struct pv_graph_node *x = *(const struct pv_graph_node *const *)a;
    const struct pv_graph_node *y = *(const struct pv_graph_node *const *)b;
    if (x->time_ns != y->time_ns)
        return x->time_ns < y->time_ns ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

void cli_result_print(const struct cli *cli, const struct pv_graph_result *r, bool backward)
{
    pv_autofree const struct pv_graph_node **order = calloc(r->n_nodes + 1, sizeof *order);
    char stamp[64];
    char what[NAME_SHOWN_MAX];
    uint64_t base_ns = UINT64_MAX;
    if (!order || r->n_nodes == 0)
        return;
    for (size_t i = 0; i < r->n_nodes; i++) {
        order[i] = &r->nodes[i];
        if (r->nodes[i].call_begin_ns && r->nodes[i].call_begin_ns < base_ns)
            base_ns = r->nodes[i].call_begin_ns;
    }
    qsort(order, r->n_nodes, sizeof *order, by_time);
    /* where everything is, saying so helps nobody */
    bool all_tainted = true;
    for (size_t i = 0; i < r->n_nodes; i++)
        all_tainted &= r->nodes[i].tainted || r->nodes[i].type == PV_N_CLIENT;
    if (base_ns == UINT64_MAX)
        base_ns = order[0]->time_ns;
    printf("%s\n", cli_format_time(base_ns, stamp, sizeof stamp));
    for (size_t i = 0; i < r->n_nodes; i++) {
        const struct pv_graph_node *n = order[backward ? r->n_nodes - 1 - i : i];
        print_node(cli, n, base_ns, !all_tainted);
        for (size_t k = first_edge(r, n->id); k < r->n_edges && r->edges[k].src == n->id; k++) {
            const struct pv_graph_node *dst = pv_graph_result_node(r, r->edges[k].dst);
            printf("%25s%s %s (n%" PRIu64 ", e%" PRIu64 ")\n", "",
                   pv_relation_name(r->edges[k].rel), dst ? call_it(dst, what, sizeof what) : "?",
                   r->edges[k].dst, r->edges[k].seq);
        }
    }
}
