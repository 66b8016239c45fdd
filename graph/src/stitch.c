/* The stitcher's frame: opening, one entry at a time, commits. */
#include "pv/stitch.h"

#include "schema.h"
#include "stitch_core.h"
#include "strings.h"

#include "pv/merkle.h"

#include <stdlib.h>
#include <string.h>

struct prepared {
    sqlite3_stmt **at;
    const char *sql;
};

static int prepare_all(struct pv_stitch *s, struct pv_err *err)
{
    const struct prepared all[] = {
        {&s->add_event, "INSERT INTO event VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?)"},
        {&s->add_edge, "INSERT OR IGNORE INTO edge VALUES(?, ?, ?, ?)"},
        {&s->add_rev, "INSERT OR IGNORE INTO rev VALUES(?, ?, ?, ?)"},
        {&s->add_obj, "INSERT INTO obj VALUES(?, ?, ?, ?, ?, ?, ?, ?)"},
        {&s->add_node, "INSERT INTO node VALUES(?, ?, ?, ?, ?)"},
        {&s->set_obj, "UPDATE obj SET len = ?, hash = ? WHERE id = ?"},
        {&s->set_inv, "REPLACE INTO inv VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"},
        {&s->set_grp, "REPLACE INTO grp VALUES(?, ?, ?, ?, ?, ?, ?)"},
        {&s->add_checkpoint, "INSERT OR IGNORE INTO checkpoint VALUES(?, ?, ?, ?)"},
        {&s->chain_at, "SELECT chain, leaf FROM event WHERE seq = ?"},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        PV_TRY(pv_db_prepare(s->db, all[i].at, all[i].sql, err));
    return 0;
}

static int read_chain(struct pv_stitch *s, uint64_t seq, uint8_t out[PV_HASH_BYTES],
                      struct pv_err *err)
{
    pv_bind_u64(s->chain_at, 1, seq);
    int rc = pv_db_step(s->chain_at, err);
    if (rc == 1 && sqlite3_column_bytes(s->chain_at, 0) == PV_HASH_BYTES)
        memcpy(out, sqlite3_column_blob(s->chain_at, 0), PV_HASH_BYTES);
    else if (rc >= 0)
        rc = pv_refuse(err, EILSEQ, "graph database: row of event %llu is damaged",
                       (unsigned long long)seq);
    (void)sqlite3_reset(s->chain_at);
    return rc < 0 ? rc : 0;
}

int pv_stitch_is_last(struct pv_stitch *s, const uint8_t *entry, size_t len, bool *ret,
                      struct pv_err *err)
{
    uint8_t leaf[PV_HASH_BYTES];
    *ret = s->next_seq == 0;
    if (s->next_seq == 0 || len > PV_EVENT_MAX + PV_TAG_BYTES)
        return 0;
    pv_leaf_hash(entry, len, leaf);
    pv_bind_u64(s->chain_at, 1, s->next_seq - 1);
    int rc = pv_db_step(s->chain_at, err);
    *ret = rc == 1 && sqlite3_column_bytes(s->chain_at, 1) == PV_HASH_BYTES &&
           memcmp(sqlite3_column_blob(s->chain_at, 1), leaf, PV_HASH_BYTES) == 0;
    (void)sqlite3_reset(s->chain_at);
    return rc < 0 ? rc : 0;
}

void pv_stitch_begin_at(struct pv_stitch *s, uint64_t seq)
{
    if (s->next_seq == 0)
        s->first_seq = s->next_seq = seq;
}

static int resume(struct pv_stitch *s, struct pv_err *err)
{
    PV_TRY(pv_db_number(s->db, "SELECT max(seq) + 1 FROM event", 0, &s->next_seq, err));
    PV_TRY(pv_db_number(s->db, "SELECT min(seq) FROM event", 0, &s->first_seq, err));
    PV_TRY(pv_db_number(s->db, "SELECT max(id) + 1 FROM obj", 1, &s->next_obj, err));
    PV_TRY(pv_db_number(s->db, "SELECT max(id) + 1 FROM node", 1, &s->next_node, err));
    PV_TRY(pv_db_number(s->db, "SELECT max(id) + 1 FROM grp", 1, &s->next_grp, err));
    PV_TRY(pv_db_number(s->db, "SELECT max(id) + 1 FROM inv", 1, &s->next_inv, err));
    if (s->next_seq > 0)
        PV_TRY(read_chain(s, s->next_seq - 1, s->chain, err));
    return 0;
}

static int open_into(struct pv_stitch *s, const char *path, struct pv_err *err)
{
    PV_TRY(pv_crypto_init(err));
    PV_TRY(pv_db_open(&s->db, path, PV_DB_WRITE, err));
    PV_TRY(pv_db_exec(s->db,
                      "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
                      "PRAGMA cache_size = -65536; PRAGMA temp_store = MEMORY;"
                      "PRAGMA wal_autocheckpoint = 16000",
                      err));
    PV_TRY(pv_schema_create(s->db, err));
    PV_TRY(prepare_all(s, err));
    PV_TRY(pv_state_new(&s->state, s->db, err));
    PV_TRY(pv_strings_new(&s->strings, s->db, err));
    return resume(s, err);
}

int pv_stitch_open(struct pv_stitch **ret, const char *path, struct pv_err *err)
{
    struct pv_stitch *s = calloc(1, sizeof *s);
    if (!s)
        return pv_fail(err, ENOMEM, "allocate the stitcher");
    int rc = open_into(s, path, err);
    if (rc < 0) {
        pv_stitch_close(s);
        return rc;
    }
    *ret = s;
    return 0;
}

void pv_stitch_close(struct pv_stitch *s)
{
    if (!s)
        return;
    sqlite3_stmt *all[] = {s->add_event, s->add_edge, s->add_rev, s->add_obj,        s->add_node,
                           s->set_obj,   s->set_inv,  s->set_grp, s->add_checkpoint, s->chain_at};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        (void)sqlite3_finalize(all[i]);
    pv_state_free(s->state);
    pv_strings_free(s->strings);
    free(s->edges);
    (void)sqlite3_close_v2(s->db);
    free(s);
}

uint64_t pv_stitch_next_seq(const struct pv_stitch *s)
{
    return s->next_seq;
}

uint64_t pv_stitch_uncommitted(const struct pv_stitch *s)
{
    return s->uncommitted;
}

static int begin(struct pv_stitch *s, struct pv_err *err)
{
    if (s->in_transaction)
        return 0;
    PV_TRY(pv_db_exec(s->db, "BEGIN IMMEDIATE", err));
    s->in_transaction = true;
    return 0;
}

/* RFC 6962, section 2.1: leaf = SHA-256(0x00 || entry). chain = SHA-256(chain || leaf). */
static void hash_entry(struct pv_stitch *s, const uint8_t *entry, size_t len,
                       uint8_t leaf[PV_HASH_BYTES])
{
    uint8_t in[1 + PV_EVENT_MAX + PV_TAG_BYTES];
    uint8_t link[2 * PV_HASH_BYTES];
    in[0] = 0;
    memcpy(in + 1, entry, len);
    pv_sha256(in, len + 1, leaf);
    memcpy(link, s->chain, PV_HASH_BYTES);
    memcpy(link + PV_HASH_BYTES, leaf, PV_HASH_BYTES);
    pv_sha256(link, sizeof link, s->chain);
}

static int add_event_row(struct pv_stitch *s, const struct pv_event *e, const uint8_t *entry,
                         size_t len, struct pv_err *err)
{
    uint8_t leaf[PV_HASH_BYTES];
    hash_entry(s, entry, len, leaf);
    pv_bind_u64(s->add_event, 1, s->seq);
    pv_bind_u64(s->add_event, 2, e->kind);
    pv_bind_u64(s->add_event, 3, s->domain);
    pv_bind_u64(s->add_event, 4, s->inv);
    pv_bind_u64(s->add_event, 5, s->grp);
    pv_bind_u64(s->add_event, 6, e->time_ns);
    pv_bind_blob(s->add_event, 7, leaf, sizeof leaf);
    pv_bind_blob(s->add_event, 8, s->chain, sizeof s->chain);
    pv_bind_blob(s->add_event, 9, entry, len);
    return pv_db_run(s->add_event, err);
}

/* What monitors do is told by calls, not by processes. */
static bool is_of_processes(unsigned kind)
{
    return kind >= PV_K_PROC_FORK && kind != PV_K_MONITOR_ALARM && kind != PV_K_MONITOR_OPEN;
}

int pv_stitch_entry(struct pv_stitch *s, uint64_t seq, const uint8_t *entry, size_t len,
                    struct pv_err *err)
{
    struct pv_event e;
    char domain[2 * PV_DOMAIN_ID_BYTES + 1];

    if (seq != s->next_seq)
        return pv_refuse(err, EINVAL, "stitch entry %llu: %llu is next", (unsigned long long)seq,
                         (unsigned long long)s->next_seq);
    if (len <= PV_TAG_BYTES || len > PV_EVENT_MAX + PV_TAG_BYTES)
        return pv_refuse(err, EBADMSG, "entry %llu has a wrong length", (unsigned long long)seq);
    PV_TRY(pv_event_decode(entry, len - PV_TAG_BYTES, &e, err));
    PV_TRY(begin(s, err));
    s->e = &e; /* until this event is done: cppcheck-suppress autoVariables */
    s->seq = seq;
    s->inv = s->grp = 0;
    pv_hex(e.domain.bytes, sizeof e.domain.bytes, domain);
    int rc = pv_stitch_intern(s, domain, &s->domain, err);
    if (rc == 0)
        rc = is_of_processes(e.kind) ? pv_stitch_outside(s, err) : pv_stitch_inside(s, err);
    s->e = NULL;
    if (rc < 0)
        return pv_wrap(err, rc, "stitch event e%llu", (unsigned long long)seq);
    PV_TRY(add_event_row(s, &e, entry, len, err));
    s->next_seq = seq + 1;
    s->uncommitted++;
    return 0;
}

int pv_stitch_checkpoint(struct pv_stitch *s, uint64_t size, const uint8_t root[PV_HASH_BYTES],
                         const char *note, size_t note_len, struct pv_err *err)
{
    uint8_t chain[PV_HASH_BYTES] = {0};
    if (size > s->next_seq || (s->first_seq && size <= s->first_seq) || note_len > PV_NOTE_MAX)
        return 0;
    PV_TRY(begin(s, err));
    if (size == s->next_seq)
        memcpy(chain, s->chain, sizeof chain);
    else if (size > 0)
        PV_TRY(read_chain(s, size - 1, chain, err));
    pv_bind_u64(s->add_checkpoint, 1, size);
    pv_bind_blob(s->add_checkpoint, 2, root, PV_HASH_BYTES);
    (void)sqlite3_bind_text(s->add_checkpoint, 3, note, (int)note_len, SQLITE_STATIC);
    pv_bind_blob(s->add_checkpoint, 4, chain, sizeof chain);
    return pv_db_run(s->add_checkpoint, err);
}

static int write_inv(struct pv_stitch *s, const struct pv_s_inv *v, struct pv_err *err)
{
    char call[PV_CALL_ID_CHARS + 1];
    pv_call_id_print(&v->call, call);
    const uint64_t rest[] = {v->function,    v->version,      v->caller,  v->begin_ns,
                             v->end_ns,      v->status,       v->outcome, v->unit.obj,
                             v->request.obj, v->response.obj, v->grp};
    pv_bind_u64(s->set_inv, 1, v->id);
    pv_bind_text(s->set_inv, 2, call);
    for (int i = 0; i < (int)(sizeof rest / sizeof *rest); i++)
        pv_bind_u64(s->set_inv, 3 + i, rest[i]);
    return pv_db_run(s->set_inv, err);
}

static int write_grp(struct pv_stitch *s, const struct pv_s_group *g, struct pv_err *err)
{
    const uint64_t all[] = {g->id,          g->domain, g->instance, g->pid,
                            g->start_ticks, g->inv,    g->root_obj};
    for (int i = 0; i < (int)(sizeof all / sizeof *all); i++)
        pv_bind_u64(s->set_grp, 1 + i, all[i]);
    return pv_db_run(s->set_grp, err);
}

/* Invocations and groups have a public table besides their state row. */
static int write_public(void *arg, enum pv_state_kind kind, const union pv_s_value *v,
                        struct pv_err *err)
{
    struct pv_stitch *s = (struct pv_stitch *)arg;
    if (kind == PV_S_INV)
        return write_inv(s, &v->inv, err);
    if (kind == PV_S_GROUP)
        return write_grp(s, &v->group, err);
    return 0;
}

int pv_stitch_commit(struct pv_stitch *s, struct pv_err *err)
{
    if (!s->in_transaction)
        return 0;
    PV_TRY(pv_state_flush(s->state, write_public, s, err));
    PV_TRY(pv_stitch_flush_edges(s, err));
    PV_TRY(pv_db_exec(s->db, "COMMIT", err));
    s->in_transaction = false;
    s->uncommitted = 0;
    pv_state_trim(s->state);
    pv_strings_trim(s->strings);
    return 0;
}
