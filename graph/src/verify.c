/* Verifies a graph: by itself, and against its log. */
#include "compare.h"
#include "schema.h"
#include "stitch_core.h"

#include "pv/archive.h"
#include "pv/graph_follow.h"
#include "pv/leaf_cache.h"
#include "pv/log_reader.h"
#include "pv/merkle.h"
#include "pv/tile.h"

#include <stdio.h>
#include <string.h>

enum { BATCH = 5000 };

struct check {
    sqlite3 *db;
    struct pv_stitch *again; /* what the events give */
    struct pv_log_reader *log;
    int log_dir_fd;               /* borrowed; -1: none */
    uint64_t detached;            /* entries below it may be in archives */
    struct pv_leaf_cache *leaves; /* owned; their hashes, or NULL */
    bool from_middle;             /* the graph begins behind them, and there is no log to go by */
    sqlite3_stmt *events, *checkpoints;
    struct pv_frontier tree;
    uint8_t chain[PV_HASH_BYTES];
    uint64_t next;
    bool begun;                    /* next is known */
    const struct pv_note_key *key; /* borrowed, or NULL */
    struct pv_graph_check *ret;
};

const char *pv_graph_verdict_name(enum pv_graph_verdict v)
{
    static const char *const names[] = {"ok",          "bad-event",   "bad-checkpoint",
                                        "bad-derived", "not-the-log", "unreadable"};
    return (size_t)v < sizeof names / sizeof *names ? names[v] : "?";
}

/* Records the verdict; 1 ends the check. */
static int bad(struct check *c, enum pv_graph_verdict v, const char *table, uint64_t row,
               const char *why)
{
    c->ret->verdict = v;
    (void)snprintf(c->ret->table, sizeof c->ret->table, "%s", table);
    (void)snprintf(c->ret->row, sizeof c->ret->row, "%llu", (unsigned long long)row);
    (void)snprintf(c->ret->text, sizeof c->ret->text, "table %s, row %llu: %s", table,
                   (unsigned long long)row, why);
    return 1;
}

static bool column_is(sqlite3_stmt *st, int col, const uint8_t want[PV_HASH_BYTES])
{
    return sqlite3_column_bytes(st, col) == PV_HASH_BYTES &&
           memcmp(sqlite3_column_blob(st, col), want, PV_HASH_BYTES) == 0;
}

/* A row's note must say what the row says, and be signed. */
static bool note_is_good(const struct check *c)
{
    struct pv_err why = PV_ERR_INIT;
    struct pv_checkpoint said;
    const void *note = sqlite3_column_text(c->checkpoints, 2);
    int len = sqlite3_column_bytes(c->checkpoints, 2);
    if (!c->key)
        return true;
    return note && len > 0 && len <= PV_NOTE_MAX &&
           pv_checkpoint_open(c->key, note, (size_t)len, &said, &why) == 0 &&
           said.size == c->next && column_is(c->checkpoints, 0, said.root);
}

/* Every checkpoint over exactly the entries seen so far. */
static int check_checkpoints(struct check *c, struct pv_err *err)
{
    uint8_t root[PV_HASH_BYTES];
    int rc;
    pv_bind_u64(c->checkpoints, 1, c->next);
    while ((rc = pv_db_step(c->checkpoints, err)) == 1) {
        pv_frontier_root(&c->tree, root);
        c->ret->checkpoints++;
        if (!c->from_middle && !column_is(c->checkpoints, 0, root))
            rc = bad(c, PV_GRAPH_BAD_CHECKPOINT, "checkpoint", c->next,
                     "its root is not that of the events before it");
        else if (!column_is(c->checkpoints, 1, c->chain))
            rc = bad(c, PV_GRAPH_BAD_CHECKPOINT, "checkpoint", c->next,
                     "its chain head is not that of the events before it");
        else if (!note_is_good(c))
            rc = bad(c, PV_GRAPH_BAD_CHECKPOINT, "checkpoint", c->next,
                     "its note is not one that the log's key signed for it");
        if (c->ret->verdict != PV_GRAPH_OK)
            break;
    }
    (void)sqlite3_reset(c->checkpoints);
    return rc;
}

/* What the log no longer holds is compared by its hash. */
static int check_hash(struct check *c, uint64_t seq, const uint8_t leaf[PV_HASH_BYTES],
                      struct pv_err *err)
{
    if (!c->leaves)
        PV_TRY(pv_leaf_cache_open(&c->leaves, c->log_dir_fd, err));
    if ((seq + 1) % PV_TILE_WIDTH == 0)
        pv_log_reader_skip(c->log, seq + 1);
    const uint8_t *stored = pv_leaf_cache_get(c->leaves, seq);
    if (stored && memcmp(stored, leaf, PV_HASH_BYTES) == 0)
        return 0;
    return bad(c, PV_GRAPH_NOT_THE_LOG, "event", seq, "the log has another hash there");
}

static int check_log(struct check *c, uint64_t seq, const void *entry, size_t len,
                     const uint8_t leaf[PV_HASH_BYTES], struct pv_err *err)
{
    struct pv_log_entry e;
    if (!c->log)
        return 0;
    bool inside = pv_log_reader_seq(c->log) < seq; /* a bundle that is not there */
    int rc = inside ? 0 : pv_log_reader_next(c->log, &e, err);
    PV_TRY(rc);
    if (rc == 0 && seq < c->detached)
        return check_hash(c, seq, leaf, err);
    if (rc == 0)
        return bad(c, PV_GRAPH_NOT_THE_LOG, "event", seq, "the log ends before it");
    if (e.len != len || memcmp(e.bytes, entry, len) != 0)
        return bad(c, PV_GRAPH_NOT_THE_LOG, "event", seq, "the log has another entry there");
    return 0;
}

/* A graph may begin where the log's archives end, or at a place behind that it was made from. */
static int begin_at(struct check *c, uint64_t first, struct pv_err *err)
{
    pv_auto_tree_reader struct pv_tree_reader *r = NULL;
    if (first == 0)
        return 0;
    if (c->log && first > c->detached)
        return bad(c, PV_GRAPH_BAD_EVENT, "event", 0, "the row is missing");
    c->from_middle = !c->log;
    if (c->log) {
        PV_TRY(pv_tree_reader_open(&r, c->log_dir_fd, first, err));
        PV_TRY(pv_tree_frontier(r, &c->tree, err));
        pv_log_reader_skip(c->log, first);
    }
    pv_stitch_begin_at(c->again, first);
    c->next = first;
    return 0;
}

static int check_event(struct check *c, struct pv_err *err)
{
    uint64_t seq = pv_col_u64(c->events, 0);
    const uint8_t *entry = sqlite3_column_blob(c->events, 1);
    size_t len = (size_t)sqlite3_column_bytes(c->events, 1);
    uint8_t leaf[PV_HASH_BYTES], link[2 * PV_HASH_BYTES];
    struct pv_err why = PV_ERR_INIT;

    if (!c->begun) {
        int begun = begin_at(c, seq, err);
        if (begun != 0)
            return begun;
        c->begun = true;
    }
    if (seq != c->next)
        return bad(c, PV_GRAPH_BAD_EVENT, "event", c->next, "the row is missing");
    if (!entry || len <= PV_TAG_BYTES || len > PV_LOG_ENTRY_MAX)
        return bad(c, PV_GRAPH_BAD_EVENT, "event", seq, "its entry has a wrong length");
    pv_leaf_hash(entry, len, leaf);
    memcpy(link, c->chain, PV_HASH_BYTES);
    memcpy(link + PV_HASH_BYTES, leaf, PV_HASH_BYTES);
    pv_sha256(link, sizeof link, c->chain);
    if (!column_is(c->events, 2, c->chain))
        return bad(c, PV_GRAPH_BAD_EVENT, "event", seq, "its entry does not continue the chain");
    int rc = check_log(c, seq, entry, len, leaf, err);
    if (rc != 0)
        return rc;
    if (pv_stitch_entry(c->again, seq, entry, len, &why) < 0)
        return bad(c, PV_GRAPH_BAD_EVENT, "event", seq, why.text);
    if (pv_stitch_uncommitted(c->again) >= BATCH)
        PV_TRY(pv_stitch_commit(c->again, err));
    pv_frontier_add(&c->tree, leaf);
    c->next = seq + 1;
    c->ret->events = c->next;
    return check_checkpoints(c, err);
}

/* A checkpoint over more entries than there are was reached by no event. */
static int check_ahead(struct check *c, struct pv_err *err)
{
    pv_autostmt sqlite3_stmt *st = NULL;
    PV_TRY(pv_db_prepare(
        c->db, &st, "SELECT size FROM checkpoint WHERE size > ? OR size < 0 ORDER BY size LIMIT 1",
        err));
    pv_bind_u64(st, 1, c->next);
    int rc = pv_db_step(st, err);
    if (rc <= 0)
        return rc;
    return bad(c, PV_GRAPH_BAD_CHECKPOINT, "checkpoint", pv_col_u64(st, 0),
               "it covers more events than there are");
}

/* The columns beside the entry are derived, too. */
static int check_columns(struct check *c, struct pv_err *err)
{
    pv_autostmt sqlite3_stmt *a = NULL;
    pv_autostmt sqlite3_stmt *b = NULL;
    static const char sql[] =
        "SELECT seq, kind, domain, inv, back, grp, time_ns FROM event ORDER BY seq";
    PV_TRY(pv_db_prepare(c->db, &a, sql, err));
    PV_TRY(pv_db_prepare(c->again->db, &b, sql, err));
    for (;;) {
        int ra = pv_db_step(a, err);
        PV_TRY(ra);
        int rb = pv_db_step(b, err);
        PV_TRY(rb);
        if (!ra && !rb)
            return 0;
        for (int i = 0; i < 7; i++)
            if (ra != rb || pv_col_u64(a, i) != pv_col_u64(b, i))
                return bad(c, PV_GRAPH_BAD_EVENT, "event", pv_col_u64(ra ? a : b, 0),
                           "a column is not what its entry says");
    }
}

static int check_derived(struct check *c, struct pv_err *err)
{
    struct pv_difference d;
    PV_TRY(pv_stitch_commit(c->again, err));
    int rc = check_columns(c, err);
    if (rc != 0)
        return rc;
    rc = pv_compare_derived(c->db, c->again->db, &d, err);
    if (rc <= 0)
        return rc;
    c->ret->verdict = PV_GRAPH_BAD_DERIVED;
    (void)snprintf(c->ret->table, sizeof c->ret->table, "%s", d.table);
    (void)snprintf(c->ret->row, sizeof c->ret->row, "%s", d.row);
    (void)snprintf(c->ret->text, sizeof c->ret->text, "table %s, row %s: %s", d.table, d.row,
                   d.missing ? "it is missing" : "it does not follow from the events");
    return 1;
}

static int run(struct check *c, struct pv_err *err)
{
    int rc = check_checkpoints(c, err);
    while (rc == 0 && (rc = pv_db_step(c->events, err)) == 1)
        rc = check_event(c, err);
    if (rc == 0)
        rc = check_ahead(c, err);
    if (rc == 0)
        rc = check_derived(c, err);
    return rc < 0 ? rc : 0;
}

static const char *column(sqlite3_stmt *st, int i)
{
    const char *text = (const char *)sqlite3_column_text(st, i);
    return text ? text : "";
}

/* Tables and indexes are those of a new graph, and there is nothing else: a trigger, say, would
 * change what is written later. 0 or, when it judged, 1. */
static int check_schema(struct check *c, struct pv_err *err)
{
    pv_autostmt sqlite3_stmt *a = NULL;
    pv_autostmt sqlite3_stmt *b = NULL;
    static const char sql[] = "SELECT name, type, tbl_name, sql FROM sqlite_master ORDER BY name";
    PV_TRY(pv_db_prepare(c->db, &a, sql, err));
    PV_TRY(pv_db_prepare(c->again->db, &b, sql, err));
    for (;;) {
        int ra = pv_db_step(a, err);
        PV_TRY(ra);
        int rb = pv_db_step(b, err);
        PV_TRY(rb);
        if (!ra && !rb)
            return 0;
        bool same = ra && rb;
        for (int i = 0; same && i < 4; i++)
            same = strcmp(column(a, i), column(b, i)) == 0;
        if (same)
            continue;
        bool missing = !ra || (rb && strcmp(column(a, 0), column(b, 0)) > 0);
        c->ret->verdict = PV_GRAPH_BAD_DERIVED;
        (void)snprintf(c->ret->table, sizeof c->ret->table, "sqlite_master");
        (void)snprintf(c->ret->row, sizeof c->ret->row, "%s", column(missing ? b : a, 0));
        (void)snprintf(c->ret->text, sizeof c->ret->text, "the %s %s %s",
                       column(missing ? b : a, 1), column(missing ? b : a, 0),
                       missing ? "is missing" : "is not what a graph has");
        return 1;
    }
}

static int prepare(struct check *c, const char *path, int log_dir_fd, struct pv_err *err)
{
    PV_TRY(pv_crypto_init(err));
    PV_TRY(pv_db_open(&c->db, path, PV_DB_READ, err));
    /* One snapshot for all: the stitcher may go on writing. */
    PV_TRY(pv_db_exec(c->db, "BEGIN", err));
    PV_TRY(pv_schema_check(c->db, err));
    PV_TRY(pv_stitch_open(&c->again, ":memory:", err));
    int rc = check_schema(c, err);
    if (rc != 0)
        return rc;
    PV_TRY(
        pv_db_prepare(c->db, &c->events, "SELECT seq, entry, chain FROM event ORDER BY seq", err));
    PV_TRY(pv_db_prepare(c->db, &c->checkpoints,
                         "SELECT root, chain, note FROM checkpoint WHERE size = ?", err));
    c->log_dir_fd = log_dir_fd;
    if (log_dir_fd < 0)
        return 0;
    PV_TRY(pv_log_detached(log_dir_fd, &c->detached, err));
    return pv_log_reader_open(&c->log, log_dir_fd, 0, err);
}

int pv_graph_verify(const char *path, int log_dir_fd, const struct pv_note_key *key,
                    struct pv_graph_check *ret, struct pv_err *err)
{
    struct check c = {.ret = ret, .key = key};
    *ret = (struct pv_graph_check){.text = "the graph is what its events give"};
    int rc = prepare(&c, path, log_dir_fd, err);
    if (rc == 0)
        rc = run(&c, err);
    if (rc == -EILSEQ) {
        ret->verdict = PV_GRAPH_UNREADABLE;
        (void)snprintf(ret->text, sizeof ret->text, "%s", err ? err->text : "damaged");
        rc = 0;
    }
    (void)sqlite3_finalize(c.events);
    (void)sqlite3_finalize(c.checkpoints);
    pv_log_reader_free(c.log);
    pv_leaf_cache_free(c.leaves);
    pv_stitch_close(c.again);
    (void)sqlite3_close_v2(c.db);
    return rc < 0 ? rc : 0;
}
