/* The events of a call, told in time order. */
#include "graph_core.h"

#include <stdio.h>
#include <string.h>

static int tell_row(struct pv_graph *g, sqlite3_stmt *st, uint64_t base_ns, bool all,
                    pv_graph_tell tell, void *ctx, struct pv_err *err)
{
    char text[1200];
    struct pv_event e;
    struct pv_graph_moment m = {
        .seq = pv_col_u64(st, 0), .base_ns = base_ns, .event = &e, .text = text};
    int len = sqlite3_column_bytes(st, 1);
    const char *call = (const char *)sqlite3_column_text(st, 2);
    const char *function = (const char *)sqlite3_column_text(st, 3);
    if (len <= PV_TAG_BYTES)
        return pv_refuse(err, EILSEQ, "graph database: row of event %llu is damaged",
                         (unsigned long long)m.seq);
    PV_TRY(pv_event_decode(sqlite3_column_blob(st, 1), (size_t)len - PV_TAG_BYTES, &e, err));
    if (!all && pv_is_runtime_noise(g, &e))
        return 0;
    const struct pv_kind_schema *schema = pv_kind_schema(e.kind);
    m.kind = schema ? schema->name : "?";
    m.time_ns = e.time_ns;
    (void)snprintf(m.call, sizeof m.call, "%s", call ? call : "");
    (void)snprintf(m.function, sizeof m.function, "%s", function ? function : "");
    pv_sentence(g, &e, text, sizeof text);
    return tell(ctx, &m);
}

/* Events of a call are those that name it, each of which leads to the one before, and those of its
 * instance's processes. */
static const char timeline_sql[] =
    "WITH RECURSIVE up(id, caller) AS (SELECT id, caller FROM inv WHERE call = ?1"
    "  UNION SELECT i.id, i.caller FROM inv i JOIN up ON i.id = up.caller AND ?2),"
    " down(id) AS (SELECT id FROM up WHERE NOT ?2 OR caller = 0"
    "  UNION SELECT i.id FROM inv i JOIN down ON i.caller = down.id AND i.caller > 0 AND ?2),"
    " named(seq, inv) AS (SELECT i.events_end - 1, d.id FROM down d JOIN inv i ON i.id = d.id"
    "  AND i.events_end > 0 UNION SELECT e.seq - e.back, n.inv FROM named n"
    "  JOIN event e ON e.seq = n.seq AND e.back > 0),"
    " mine(seq, inv) AS (SELECT seq, inv FROM named"
    "  UNION SELECT e.seq, d.id FROM down d JOIN inv i ON i.id = d.id"
    "  JOIN event e ON e.grp = i.grp AND e.grp > 0)"
    " SELECT e.seq, e.entry, i.call, s.text FROM mine m JOIN event e ON e.seq = m.seq"
    " JOIN inv i ON i.id = m.inv LEFT JOIN str s ON s.id = i.function"
    " ORDER BY e.time_ns, e.seq";

/* When the call began, or its outermost caller. */
static int began(struct pv_graph *g, const char *call, bool workflow, uint64_t *ret,
                 struct pv_err *err)
{
    pv_autostmt sqlite3_stmt *st = NULL;
    PV_TRY(pv_db_prepare(
        g->db, &st,
        "WITH RECURSIVE up(id, caller, begin_ns) AS (SELECT id, caller, begin_ns FROM inv"
        "  WHERE call = ?1 UNION SELECT i.id, i.caller, i.begin_ns FROM inv i"
        "  JOIN up ON i.id = up.caller AND ?2) SELECT min(begin_ns) FROM up WHERE begin_ns > 0",
        err));
    pv_bind_text(st, 1, call);
    (void)sqlite3_bind_int(st, 2, workflow);
    int rc = pv_db_step(st, err);
    PV_TRY(rc);
    *ret = rc ? pv_col_u64(st, 0) : 0;
    return 0;
}

int pv_graph_timeline(struct pv_graph *g, const char *call, bool workflow, bool all,
                      pv_graph_tell tell, void *ctx, struct pv_graph_basis *ret_basis,
                      struct pv_err *err)
{
    pv_autostmt sqlite3_stmt *st = NULL;
    uint64_t min = UINT64_MAX, max = 0, base_ns = 0;
    int rc;
    PV_TRY(began(g, call, workflow, &base_ns, err));
    PV_TRY(pv_db_prepare(g->db, &st, timeline_sql, err));
    pv_bind_text(st, 1, call);
    (void)sqlite3_bind_int(st, 2, workflow);
    while ((rc = pv_db_step(st, err)) == 1) {
        uint64_t seq = pv_col_u64(st, 0);
        min = seq < min ? seq : min;
        max = seq > max ? seq : max;
        PV_TRY(tell_row(g, st, base_ns, all, tell, ctx, err));
    }
    PV_TRY(rc);
    if (min > max)
        return pv_refuse(err, ENOENT, "no call '%s' in the graph", call);
    return pv_graph_basis(g, min, max, ret_basis, err);
}

int pv_graph_event(struct pv_graph *g, uint64_t seq, pv_graph_tell tell, void *ctx,
                   struct pv_err *err)
{
    pv_autostmt sqlite3_stmt *st = NULL;
    PV_TRY(pv_db_prepare(
        g->db, &st,
        "SELECT e.seq, e.entry, i.call, s.text FROM event e LEFT JOIN grp gr ON gr.id = e.grp"
        " LEFT JOIN inv i ON i.id = CASE WHEN e.inv > 0 THEN e.inv ELSE gr.inv END"
        " LEFT JOIN str s ON s.id = i.function WHERE e.seq = ?",
        err));
    pv_bind_u64(st, 1, seq);
    int rc = pv_db_step(st, err);
    PV_TRY(rc);
    if (rc == 0)
        return pv_refuse(err, ENOENT, "the graph has no event e%llu", (unsigned long long)seq);
    return tell_row(g, st, 0, true, tell, ctx, err);
}
