/* provost audit export: an answer as a picture for Graphviz, or as JSON. */
#include "answer.h"
#include "audit.h"
#include "evidence.h"
#include "input.h"
#include "pv/buf.h"
#include "pv/graph_export.h"

#include <string.h>

enum { EXPORT_MAX = 1 << 30 };

/* "the request to upload", "/function/credentials.json", "response of publish" */
static void call_it(const struct pv_graph_node *n, char *out, size_t cap)
{
    const char *type = pv_node_type_name(n->type);
    if (n->type == PV_N_REQUEST)
        snprintf(out, cap, "the request to %s", n->function);
    else if (n->type == PV_N_RESPONSE)
        snprintf(out, cap, "the response of %s", n->function);
    else if (n->type == PV_N_UNIT || n->type == PV_N_PROCESS)
        snprintf(out, cap, "%s of %s", type, *n->function ? n->function : n->name);
    else
        snprintf(out, cap, "%s", n->name);
}

/* Where bytes ended says more than what they passed last. */
static bool worth_naming(const struct pv_graph_result *r, const struct pv_graph_node *n)
{
    if (n->type == PV_N_ENDPOINT || n->is_source)
        return true;
    for (size_t i = 0; i < r->n_nodes; i++)
        if (r->nodes[i].is_target && r->nodes[i].type == PV_N_ENDPOINT)
            return false;
    return true;
}

/* The sources or the targets of an answer in words; each once, three at most. */
static void ends_of(const struct pv_graph_result *r, bool sources, char *out, size_t cap)
{
    enum { SHOWN = 3 };
    char seen[SHOWN][120];
    unsigned n = 0;
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < r->n_nodes && n < SHOWN; i++) {
        const struct pv_graph_node *node = &r->nodes[i];
        char name[120];
        bool known = false;
        if (!(sources ? node->is_source : node->is_target) || !worth_naming(r, node))
            continue;
        call_it(node, name, sizeof name);
        for (unsigned k = 0; k < n; k++)
            known |= strcmp(seen[k], name) == 0;
        if (known || len + sizeof name + 8 > cap)
            continue;
        len += (size_t)snprintf(out + len, cap - len, "%s%s", n ? " and " : "", name);
        memcpy(seen[n++], name, sizeof name);
    }
}

/* Names the picture after the question. */
static void title_of(const struct audit_args *a, const struct pv_graph_result *r, char *out,
                     size_t cap)
{
    char from[400], to[400];
    ends_of(r, true, from, sizeof from);
    ends_of(r, false, to, sizeof to);
    if (a->path && *from && *to)
        snprintf(out, cap, "How %s reached %s", from, to);
    else if (a->path)
        snprintf(out, cap, "from %s to %s", a->from.v[0], a->to.v[0]);
    else if (a->back)
        snprintf(out, cap, "What led to %s", *to ? to : a->ids.v[0]);
    else if (a->forward)
        snprintf(out, cap, "What came of %s", *from ? from : a->ids.v[0]);
    else
        snprintf(out, cap, "Workflow of call %s", a->ids.v[0]);
}

int audit_export(struct cli *cli, int argc, char **argv)
{
    struct audit_args a;
    struct pv_graph *g PV_CLEANUP(pv_graph_close) = NULL;
    pv_auto_graph_result struct pv_graph_result r = {0};
    pv_autobuf struct pv_buf out;
    struct pv_err err = PV_ERR_INIT;
    char title[1000];
    audit_parse(&a, AUDIT_EXPORT, cli, argc, argv);
    pv_buf_init(&out, EXPORT_MAX);
    if (cli_evidence_open(cli, &g, &err) < 0 || audit_answer(g, &a, &r, &err) < 0)
        return cli_report(&err);
    title_of(&a, &r, title, sizeof title);
    int rc =
        a.dot ? pv_graph_write_dot(&r, title, &out, &err) : pv_graph_write_json(&r, &out, &err);
    if (rc == 0)
        rc = cli_write_output(a.output, out.data, out.len, &err);
    if (rc < 0)
        return cli_report(&err);
    cli_basis_print(stderr, &r.basis);
    if (a.path && !audit_leads(&r))
        return cli_error(CLI_NOT_FOUND, "nothing leads from the sources to the targets");
    return CLI_OK;
}
