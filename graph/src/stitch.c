/* The stitcher's frame: opening, one entry at a time, commits. */
#include "pv/stitch.h"

#include "schema.h"
#include "stitch_core.h"
#include "strings.h"

#include "pv/merkle.h"

#include <stdlib.h>
#include <string.h>

static int prepare_all(struct pv_stitch *s, struct pv_err *err)
{
    PV_TRY(pv_stitch_rows_prepare(s, err));
    PV_TRY(pv_db_prepare(s->db, &s->set_grp, "REPLACE INTO grp VALUES(?, ?, ?, ?, ?, ?, ?)", err));
    PV_TRY(pv_db_prepare(s->db, &s->add_checkpoint,
                         "INSERT OR IGNORE INTO checkpoint VALUES(?, ?, ?, ?)", err));
    return pv_db_prepare(s->db, &s->event_at, "SELECT chain, entry FROM event WHERE seq = ?", err);
}

static int read_chain(struct pv_stitch *s, uint64_t seq, uint8_t out[PV_HASH_BYTES],
                      struct pv_err *err)
{
    PV_TRY(pv_stitch_flush_events(s, err));
    pv_bind_u64(s->event_at, 1, seq);
    int rc = pv_db_step(s->event_at, err);
    if (rc == 1 && sqlite3_column_bytes(s->event_at, 0) == PV_HASH_BYTES)
        memcpy(out, sqlite3_column_blob(s->event_at, 0), PV_HASH_BYTES);
    else if (rc >= 0)
        rc = pv_refuse(err, EILSEQ, "graph database: row of event %llu is damaged",
                       (unsigned long long)seq);
    (void)sqlite3_reset(s->event_at);
    return rc < 0 ? rc : 0;
}

int pv_stitch_is_last(struct pv_stitch *s, const uint8_t *entry, size_t len, bool *ret,
                      struct pv_err *err)
{
    *ret = s->next_seq == 0;
    if (s->next_seq == 0)
        return 0;
    PV_TRY(pv_stitch_flush_events(s, err));
    pv_bind_u64(s->event_at, 1, s->next_seq - 1);
    int rc = pv_db_step(s->event_at, err);
    *ret = rc == 1 && (size_t)sqlite3_column_bytes(s->event_at, 1) == len &&
           memcmp(sqlite3_column_blob(s->event_at, 1), entry, len) == 0;
    (void)sqlite3_reset(s->event_at);
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
    uint64_t obj, revision;
    PV_TRY(pv_db_number(s->db, "SELECT max(id) + 1 FROM obj", 1, &obj, err));
    PV_TRY(pv_db_number(s->db, "SELECT max(id) + 1 FROM revision", 1, &revision, err));
    s->next_node = obj > revision ? obj : revision;
    PV_TRY(pv_db_number(s->db, "SELECT max(id) + 1 FROM grp", 1, &s->next_grp, err));
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
    PV_TRY(pv_invs_new(&s->invs, s->db, err));
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
    pv_stitch_rows_done(s);
    (void)sqlite3_finalize(s->set_grp);
    (void)sqlite3_finalize(s->add_checkpoint);
    (void)sqlite3_finalize(s->event_at);
    pv_invs_free(s->invs);
    pv_state_free(s->state);
    pv_strings_free(s->strings);
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
static void hash_entry(struct pv_stitch *s, const uint8_t *entry, size_t len)
{
    uint8_t link[2 * PV_HASH_BYTES];
    memcpy(link, s->chain, PV_HASH_BYTES);
    pv_leaf_hash(entry, len, link + PV_HASH_BYTES);
    pv_sha256(link, sizeof link, s->chain);
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
    s->inv = s->back = s->grp = 0;
    pv_hex(e.domain.bytes, sizeof e.domain.bytes, domain);
    int rc = pv_stitch_intern(s, domain, &s->domain, err);
    if (rc == 0)
        rc = is_of_processes(e.kind) ? pv_stitch_outside(s, err) : pv_stitch_inside(s, err);
    if (rc == 0) {
        hash_entry(s, entry, len);
        rc = pv_stitch_event_row(s, entry, len, err);
    }
    s->e = NULL;
    if (rc < 0)
        return pv_wrap(err, rc, "stitch event e%llu", (unsigned long long)seq);
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

static int write_grp(struct pv_stitch *s, const struct pv_s_group *g, struct pv_err *err)
{
    const uint64_t all[] = {g->id,          g->domain, g->instance, g->pid,
                            g->start_ticks, g->inv,    g->root_obj};
    for (int i = 0; i < (int)(sizeof all / sizeof *all); i++)
        pv_bind_u64(s->set_grp, 1 + i, all[i]);
    return pv_db_run(s->set_grp, err);
}

/* Groups have a public table besides their state row. */
static int write_public(void *arg, enum pv_state_kind kind, const union pv_s_value *v,
                        struct pv_err *err)
{
    return kind == PV_S_GROUP ? write_grp((struct pv_stitch *)arg, &v->group, err) : 0;
}

int pv_stitch_commit(struct pv_stitch *s, struct pv_err *err)
{
    if (!s->in_transaction)
        return 0;
    PV_TRY(pv_state_flush(s->state, write_public, s, err));
    PV_TRY(pv_invs_flush(s->invs, err));
    PV_TRY(pv_stitch_flush_rows(s, err));
    PV_TRY(pv_db_exec(s->db, "COMMIT", err));
    s->in_transaction = false;
    s->uncommitted = 0;
    pv_state_trim(s->state);
    pv_invs_trim(s->invs);
    pv_strings_trim(s->strings);
    return 0;
}
