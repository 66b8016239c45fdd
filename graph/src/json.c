/* Answers as JSON, every node and edge unfolded. */
#include "pv/graph_export.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static json_t *text(const char *s)
{
    char shown[4096];
    pv_graph_printable(s, sizeof shown / 4, shown, sizeof shown);
    return json_string(shown);
}

static json_t *hash_text(const uint8_t hash[PV_HASH_BYTES])
{
    char hex[2 * PV_HASH_BYTES + 1];
    pv_hex(hash, PV_HASH_BYTES, hex);
    return json_string(hex);
}

static json_t *id_text(char letter, uint64_t id)
{
    char out[24];
    (void)snprintf(out, sizeof out, "%c%" PRIu64, letter, id);
    return json_string(out);
}

static json_t *node_json(const struct pv_graph_node *n)
{
    json_t *flags = json_array();
    if (n->flags & PV_NF_RUNTIME)
        (void)json_array_append_new(flags, json_string("runtime"));
    if (n->flags & PV_NF_DENIED)
        (void)json_array_append_new(flags, json_string("denied"));
    if (n->flags & PV_NF_SECRET)
        (void)json_array_append_new(flags, json_string("secret"));
    return json_pack(
        "{so so sI sI ss so so ss ss sI sI sI so sI so si sb sb sb}", "id", id_text('n', n->id),
        "event", id_text('e', n->seq), "object", (json_int_t)n->obj, "version",
        (json_int_t)n->version, "type", pv_node_type_name(n->type), "name", text(n->name), "flags",
        flags, "call", n->call, "function", n->function, "function_version",
        (json_int_t)n->function_version, "status", (json_int_t)n->status, "time_ns",
        (json_int_t)n->time_ns, "sha256", n->has_hash ? hash_text(n->hash) : json_null(), "length",
        (json_int_t)n->len, "group", json_integer((json_int_t)n->grp), "depth", (int)n->depth,
        "source", n->is_source, "target", n->is_target, "tainted", n->tainted);
}

static json_t *edge_json(const struct pv_graph_edge *e)
{
    return json_pack("{so so ss so sI sb}", "from", id_text('n', e->src), "to",
                     id_text('n', e->dst), "relation", pv_relation_name(e->rel), "event",
                     id_text('e', e->seq), "time_ns", (json_int_t)e->time_ns, "tainted",
                     e->tainted);
}

static json_t *basis_json(const struct pv_graph_basis *b)
{
    return json_pack("{sI sI so sI sI sI sI sI sI sb so sb}", "log_size", (json_int_t)b->log_size,
                     "signed_size", (json_int_t)b->signed_size, "root", hash_text(b->root), "gaps",
                     (json_int_t)b->gaps, "lost", (json_int_t)b->lost, "gaps_touching",
                     (json_int_t)b->gaps_touching, "faults", (json_int_t)b->faults, "first_event",
                     (json_int_t)b->first_seq, "archived_events", (json_int_t)b->archived,
                     "outside_witness_missing", b->witness_missing, "witness", text(b->witness),
                     "truncated", b->truncated);
}

static int to_buffer(const char *p, size_t len, void *ctx)
{
    pv_buf_raw((struct pv_buf *)ctx, p, len);
    return 0;
}

int pv_graph_write_json(const struct pv_graph_result *r, struct pv_buf *out, struct pv_err *err)
{
    json_t *nodes = json_array(), *edges = json_array();
    int bad = 0;
    for (size_t i = 0; i < r->n_nodes; i++)
        bad |= json_array_append_new(nodes, node_json(&r->nodes[i]));
    for (size_t i = 0; i < r->n_edges; i++)
        bad |= json_array_append_new(edges, edge_json(&r->edges[i]));
    json_t *all =
        json_pack("{so so so}", "nodes", nodes, "edges", edges, "basis", basis_json(&r->basis));
    if (!all || bad || json_dump_callback(all, to_buffer, out, JSON_INDENT(1)) < 0)
        bad = 1;
    json_decref(all);
    pv_buf_u8(out, '\n');
    if (bad)
        return pv_fail(err, ENOMEM, "write JSON");
    return pv_buf_check(out, "JSON", err);
}

static void describe_archived(const struct pv_graph_basis *b, char *out, size_t cap)
{
    if (b->first_seq)
        (void)snprintf(out, cap, "; what happened before e%" PRIu64 " is in archives, not here",
                       b->first_seq);
    else if (b->archived)
        (void)snprintf(out, cap, "; the log has its first %" PRIu64 " events in archives",
                       b->archived);
}

void pv_graph_basis_text(const struct pv_graph_basis *b, char *out, size_t cap)
{
    char root[2 * 8 + 1], gaps[160] = "no gap", archived[160] = "";
    pv_hex(b->root, 8, root);
    if (b->gaps)
        (void)snprintf(gaps, sizeof gaps,
                       "%" PRIu64 " gap%s (%" PRIu64 " events lost), %" PRIu64
                       " within this answer",
                       b->gaps, b->gaps == 1 ? "" : "s", b->lost, b->gaps_touching);
    describe_archived(b, archived, sizeof archived);
    (void)snprintf(
        out, cap, "rests on %" PRIu64 " log entries, %" PRIu64 " signed, root %s…; %s%s%s%s%s",
        b->log_size, b->signed_size, b->signed_size ? root : "none", gaps, archived,
        b->witness_missing ? "; outside witness missing" : "",
        b->faults ? "; producers at fault" : "", b->truncated ? "; cut short by a limit" : "");
}
