/* Finding nodes by what people have at hand: ids, names, kinds. */
#include "graph_core.h"

#include <stdlib.h>
#include <string.h>

enum { PREFIX_MIN = 4, FIND_DEFAULT = 1000 };

static bool parse_number(const char *text, char letter, uint64_t *ret)
{
    char *end = NULL;
    if (text[0] != letter || text[1] < '0' || text[1] > '9')
        return false;
    errno = 0;
    *ret = strtoull(text + 1, &end, 10);
    return errno == 0 && *end == 0;
}

static bool is_base32(const char *text)
{
    size_t n = strspn(text, "0123456789abcdefghjkmnpqrstvwxyzABCDEFGHJKMNPQRSTVWXYZ");
    return text[n] == 0 && n >= PREFIX_MIN && n <= PV_CALL_ID_CHARS;
}

/* 1 = *ret is the call, 0 = none begins so. */
static int call_by_prefix(struct pv_graph *g, const char *text, char ret[PV_CALL_ID_CHARS + 1],
                          struct pv_err *err)
{
    pv_autostmt sqlite3_stmt *st = NULL;
    char low[PV_CALL_ID_CHARS + 2], high[PV_CALL_ID_CHARS + 2];
    size_t n = strlen(text);
    if (!is_base32(text))
        return 0;
    for (size_t i = 0; i <= n; i++)
        low[i] = (char)(text[i] >= 'A' && text[i] <= 'Z' ? text[i] + 32 : text[i]);
    memcpy(high, low, n);
    high[n] = '~';
    high[n + 1] = 0;
    PV_TRY(pv_db_prepare(g->db, &st, "SELECT call FROM inv WHERE call >= ? AND call < ? LIMIT 2",
                         err));
    pv_bind_text(st, 1, low);
    pv_bind_text(st, 2, high);
    int rc = pv_db_step(st, err);
    if (rc <= 0)
        return rc;
    const char *found = (const char *)sqlite3_column_text(st, 0);
    if (!found || strlen(found) != PV_CALL_ID_CHARS)
        return pv_refuse(err, EILSEQ, "graph database: a call id is damaged");
    memcpy(ret, found, PV_CALL_ID_CHARS + 1);
    rc = pv_db_step(st, err);
    PV_TRY(rc);
    return rc == 1 ? pv_refuse(err, EINVAL, "'%s' begins several call ids: give more of it", text)
                   : 1;
}

static int add_all(struct pv_graph *g, const char *sql, const char *text, uint64_t number,
                   struct pv_graph_ids *ids, struct pv_err *err)
{
    pv_autostmt sqlite3_stmt *st = NULL;
    int rc;
    PV_TRY(pv_db_prepare(g->db, &st, sql, err));
    if (text)
        pv_bind_text(st, 1, text);
    else
        pv_bind_u64(st, 1, number);
    while ((rc = pv_db_step(st, err)) == 1)
        PV_TRY(pv_graph_ids_add(ids, pv_col_u64(st, 0), err));
    return rc;
}

static int add_call(struct pv_graph *g, const char *call, enum pv_graph_side side,
                    struct pv_graph_ids *ids, struct pv_err *err)
{
    static const char *const sql[] = {
        [PV_SIDE_ANY] = ("WITH i AS (SELECT unit, request, response FROM inv WHERE call = ?)"
                         " SELECT unit FROM i UNION SELECT request FROM i WHERE request > 0"
                         " UNION SELECT response FROM i WHERE response > 0"
                         " UNION SELECT v.id FROM i JOIN revision v ON v.obj = i.unit"),
        [PV_SIDE_FROM] = "SELECT request FROM inv WHERE call = ? AND request > 0",
        [PV_SIDE_TO] = "SELECT response FROM inv WHERE call = ? AND response > 0",
    };
    return add_all(g, sql[side], call, 0, ids, err);
}

static int add_named(struct pv_graph *g, const char *text, struct pv_graph_ids *ids,
                     struct pv_err *err)
{
    return add_all(g,
                   "WITH objs AS (SELECT o.id FROM str s JOIN obj o ON o.name = s.id"
                   " WHERE s.text = ? AND " PV_NOT_OF_INV(
                       "o") " AND o.type <> 15)"
                            " SELECT id FROM objs UNION SELECT v.id FROM objs"
                            " JOIN revision v ON v.obj = objs.id ORDER BY 1",
                   text, 0, ids, err);
}

/* All versions of a function. '@' and 'A' are neighbours. */
static int add_versions(struct pv_graph *g, const char *text, struct pv_graph_ids *ids,
                        struct pv_err *err)
{
    return add_all(g,
                   "SELECT o.id FROM str s JOIN obj o ON o.name = s.id WHERE s.text >= ?1 || '@'"
                   " AND s.text < ?1 || 'A' AND o.type = 2 ORDER BY 1",
                   text, 0, ids, err);
}

/* Nothing flows into a function itself: what reaches it reaches its calls. */
static int add_calls(struct pv_graph *g, struct pv_graph_ids *ids, struct pv_err *err)
{
    for (size_t i = 0, n = ids->n; i < n; i++)
        PV_TRY(add_all(g,
                       "WITH i AS (SELECT i.unit, i.request, i.response FROM edge d JOIN obj f"
                       " ON f.id = d.dst AND f.type = 2 JOIN obj u ON u.id = " PV_OBJ_OF(
                           "d.src") " AND u.type = 5 JOIN inv i ON i.id = u.inv WHERE d.dst = ?)"
                                    " SELECT unit FROM i"
                                    " UNION SELECT request FROM i WHERE request > 0"
                                    " UNION SELECT response FROM i WHERE response > 0"
                                    " UNION SELECT v.id FROM i JOIN revision v ON v.obj = i.unit",
                       NULL, ids->v[i], ids, err));
    return 0;
}
_Static_assert(PV_N_FUNCTION == 2 && PV_N_UNIT == 5, "as in SQL");

/* What an event brought about. What a connection brought back is not where its data went. */
static int add_event(struct pv_graph *g, uint64_t seq, enum pv_graph_side side,
                     struct pv_graph_ids *ids, struct pv_err *err)
{
    return add_all(g,
                   side == PV_SIDE_TO
                       ? "SELECT id FROM obj WHERE seq = ?1 AND type <> 12"
                         " UNION SELECT v.id FROM revision v JOIN obj o ON o.id = v.obj"
                         " WHERE v.seq = ?1 AND o.type <> 12"
                         " UNION SELECT d.src FROM edge d JOIN obj o"
                         " ON o.id = " PV_OBJ_OF("d.src") " WHERE d.seq = ?1"
                                                          " AND o.type NOT IN (9, 12)"
                       : "SELECT id FROM node WHERE seq = ?1 UNION SELECT src FROM edge"
                         " WHERE seq = ?1",
                   NULL, seq, ids, err);
}
_Static_assert(PV_N_SOCKET_IN == 9 && PV_N_RECEIVED == 12 && PV_N_UNIT == 5 && PV_N_LOG == 15,
               "as in SQL");

static int exists(struct pv_graph *g, const char *sql, uint64_t number, struct pv_err *err)
{
    pv_autostmt sqlite3_stmt *st = NULL;
    PV_TRY(pv_db_prepare(g->db, &st, sql, err));
    pv_bind_u64(st, 1, number);
    return pv_db_step(st, err);
}

/* An event of which no node tells is there all the same. */
static int explain_event(struct pv_graph *g, const char *text, struct pv_err *err)
{
    uint64_t number = 0;
    if (!parse_number(text, 'e', &number))
        return 0;
    int rc = exists(g, "SELECT 1 FROM event WHERE seq = ?", number, err);
    PV_TRY(rc);
    return rc == 0 ? 0
                   : pv_refuse(err, ENOENT,
                               "event %s has brought about no node of the graph, nothing that data "
                               "could pass",
                               text);
}

int pv_graph_resolve(struct pv_graph *g, const char *text, enum pv_graph_side side,
                     struct pv_graph_ids *ids, struct pv_err *err)
{
    pv_auto_graph_ids struct pv_graph_ids found = {0};
    char call[PV_CALL_ID_CHARS + 1];
    uint64_t number = 0;
    int rc = 0;
    if (!*text)
        return pv_refuse(err, EINVAL, "an id is empty");
    if (parse_number(text, 'n', &number))
        PV_TRY(add_all(g, "SELECT id FROM node WHERE id = ?", NULL, number, &found, err));
    else if (parse_number(text, 'e', &number))
        PV_TRY(add_event(g, number, side, &found, err));
    if (found.n == 0) {
        rc = call_by_prefix(g, text, call, err);
        PV_TRY(rc);
        if (rc == 1)
            PV_TRY(add_call(g, call, side, &found, err));
    }
    if (found.n == 0)
        PV_TRY(add_named(g, text, &found, err));
    if (found.n == 0)
        PV_TRY(add_versions(g, text, &found, err));
    if (side == PV_SIDE_TO)
        PV_TRY(add_calls(g, &found, err));
    if (found.n == 0)
        PV_TRY(explain_event(g, text, err));
    if (found.n == 0)
        return pv_refuse(err, ENOENT,
                         "nothing in the graph is called '%s': look for it with "
                         "'provost audit find'",
                         text);
    for (size_t i = 0; i < found.n; i++)
        PV_TRY(pv_graph_ids_add(ids, found.v[i], err));
    return 0;
}

/* Why no call is meant by that. */
static int no_call(struct pv_graph *g, const char *text, struct pv_err *err)
{
    uint64_t number = 0;
    bool event = parse_number(text, 'e', &number);
    if (event || parse_number(text, 'n', &number)) {
        int rc = exists(
            g, event ? "SELECT 1 FROM event WHERE seq = ?" : "SELECT 1 FROM node WHERE id = ?",
            number, err);
        PV_TRY(rc);
        return pv_refuse(err, ENOENT, rc ? "%s %s belongs to no call" : "the graph has no %s %s",
                         event ? "event" : "node", text);
    }
    if (!is_base32(text))
        return pv_refuse(err, EINVAL,
                         "'%s' is no id: give a call id (four or more characters of it), an event "
                         "like e123 or a node like n123",
                         text);
    return pv_refuse(err, ENOENT, "no call '%s' in the graph", text);
}

int pv_graph_resolve_call(struct pv_graph *g, const char *text, char ret[PV_CALL_ID_CHARS + 1],
                          struct pv_err *err)
{
    static const char *const sql[] = {
        "SELECT i.call FROM node n JOIN obj o ON o.id = n.obj LEFT JOIN grp g ON g.id = o.grp"
        " JOIN inv i ON i.id = CASE WHEN o.inv > 0 THEN o.inv ELSE g.inv END WHERE n.id = ?",
        "SELECT i.call FROM event e LEFT JOIN grp g ON g.id = e.grp"
        " JOIN inv i ON i.id = CASE WHEN e.inv > 0 THEN e.inv ELSE g.inv END WHERE e.seq = ?",
    };
    pv_autostmt sqlite3_stmt *st = NULL;
    uint64_t number = 0;
    bool node = parse_number(text, 'n', &number), event = parse_number(text, 'e', &number);
    int rc = 0;
    if (node || event) {
        PV_TRY(pv_db_prepare(g->db, &st, sql[event], err));
        pv_bind_u64(st, 1, number);
        rc = pv_db_step(st, err);
        PV_TRY(rc);
        const char *call = rc ? (const char *)sqlite3_column_text(st, 0) : NULL;
        if (call && strlen(call) == PV_CALL_ID_CHARS) {
            memcpy(ret, call, PV_CALL_ID_CHARS + 1);
            return 0;
        }
    }
    rc = call_by_prefix(g, text, ret, err);
    PV_TRY(rc);
    return rc == 1 ? 0 : no_call(g, text, err);
}

static int bind_find(sqlite3_stmt *st, const struct pv_graph_find *q, struct pv_err *err)
{
    int type = 0;
    for (unsigned t = 1; q->type && t < PV_N_MAX; t++)
        if (strcmp(pv_node_type_name(t), q->type) == 0)
            type = (int)t;
    if (q->type && type == 0)
        return pv_refuse(err, EINVAL,
                         "no kind of node is called '%s' (request, response, file, "
                         "process, endpoint, sent, denied, …)",
                         q->type);
    pv_bind_text(st, 1, q->text ? q->text : "");
    (void)sqlite3_bind_int(st, 2, type);
    pv_bind_u64(st, 3, q->since_ns);
    (void)sqlite3_bind_int(st, 4, q->all);
    return 0;
}

int pv_graph_find(struct pv_graph *g, const struct pv_graph_find *q, struct pv_graph_result *ret,
                  struct pv_err *err)
{
    pv_autostmt sqlite3_stmt *st = NULL;
    pv_auto_reach struct pv_reach *set = NULL;
    uint64_t limit = q->limit ? q->limit : FIND_DEFAULT, matched = 0;
    int rc;
    PV_TRY(pv_reach_new(&set, err));
    PV_TRY(pv_db_prepare(
        g->db, &st,
        "SELECT max(n.id) FROM node n JOIN obj o ON o.id = n.obj JOIN str s ON s.id = o.name"
        " LEFT JOIN str sn ON sn.id = n.name LEFT JOIN grp gr ON gr.id = o.grp"
        " LEFT JOIN inv i ON i.id = CASE WHEN o.inv > 0 THEN o.inv ELSE gr.inv END"
        " LEFT JOIN str sf ON sf.id = i.function LEFT JOIN event e ON e.seq = n.seq"
        " WHERE (?1 = '' OR instr(s.text, ?1) OR instr(sn.text, ?1) OR instr(i.call, lower(?1)) = 1"
        "  OR (o.type = 5 AND instr(sf.text, ?1)) OR 'n' || n.id = ?1 OR 'e' || n.seq = ?1)"
        " AND (?2 = 0 OR o.type = ?2) AND e.time_ns >= ?3 AND (?4 OR NOT o.flags & 1)"
        " AND (?2 <> 0 OR ?4 OR o.type NOT IN (8, 9, 10))"
        " GROUP BY o.id ORDER BY max(n.id) DESC",
        err));
    PV_TRY(bind_find(st, q, err));
    for (; (rc = pv_db_step(st, err)) == 1; matched++)
        if (matched < limit)
            PV_TRY(pv_reach_add(set, pv_col_u64(st, 0), 0, err));
    PV_TRY(rc);
    PV_TRY(pv_graph_collect(g, set, ret, err));
    ret->matched = matched;
    ret->basis.truncated = matched > limit;
    return 0;
}
