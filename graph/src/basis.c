/* What an answer rests on: log size, signed root, gaps, witness. */
#include "graph_core.h"

#include <string.h>

static int read_checkpoint(struct pv_graph *g, struct pv_graph_basis *b, struct pv_err *err)
{
    pv_autostmt sqlite3_stmt *st = NULL;
    PV_TRY(pv_db_prepare(g->db, &st, "SELECT size, root FROM checkpoint ORDER BY size DESC LIMIT 1",
                         err));
    int rc = pv_db_step(st, err);
    PV_TRY(rc);
    if (rc == 1 && sqlite3_column_bytes(st, 1) == PV_HASH_BYTES) {
        b->signed_size = pv_col_u64(st, 0);
        memcpy(b->root, sqlite3_column_blob(st, 1), PV_HASH_BYTES);
    }
    return 0;
}

static void count(struct pv_graph_basis *b, const struct pv_event *e, uint64_t seq, uint64_t min,
                  uint64_t max)
{
    if (e->kind == PV_K_LOG_OPEN) {
        pv_event_get_text(e, "witness", b->witness, sizeof b->witness);
        b->witness_missing |= strncmp(b->witness, "missing", 7) == 0;
    } else if (e->kind == PV_K_GAP) {
        b->gaps++;
        b->lost += pv_event_get_u64(e, "count");
        b->gaps_touching += seq >= min && seq <= max;
    } else if (e->kind == PV_K_LOG_DETACHED) {
        uint64_t end = pv_event_get_u64(e, "first") + pv_event_get_u64(e, "count");
        b->archived = end > b->archived ? end : b->archived;
    } else {
        b->faults++;
    }
}

int pv_graph_basis(struct pv_graph *g, uint64_t min_seq, uint64_t max_seq,
                   struct pv_graph_basis *ret, struct pv_err *err)
{
    pv_autostmt sqlite3_stmt *st = NULL;
    struct pv_graph_basis b = {0};
    int rc;
    PV_TRY(pv_graph_size(g, &b.log_size, err));
    PV_TRY(read_checkpoint(g, &b, err));
    PV_TRY(pv_db_number(g->db, "SELECT min(seq) FROM event", 0, &b.first_seq, err));
    PV_TRY(pv_db_prepare(g->db, &st,
                         "SELECT seq, entry FROM event WHERE kind >= 40 AND kind <= 47"
                         " AND kind NOT IN (41, 44, 45, 46) ORDER BY seq",
                         err));
    while ((rc = pv_db_step(st, err)) == 1) {
        struct pv_event e;
        int len = sqlite3_column_bytes(st, 1);
        if (len <= PV_TAG_BYTES)
            return pv_refuse(err, EILSEQ, "graph database: row of event %llu is damaged",
                             (unsigned long long)pv_col_u64(st, 0));
        PV_TRY(pv_event_decode(sqlite3_column_blob(st, 1), (size_t)len - PV_TAG_BYTES, &e, err));
        count(&b, &e, pv_col_u64(st, 0), min_seq, max_seq);
    }
    PV_TRY(rc);
    *ret = b;
    return 0;
}
_Static_assert(PV_K_LOG_OPEN == 40 && PV_K_GAP == 42 && PV_K_PRODUCER_FAULT == 43 &&
                   PV_K_LOG_DETACHED == 47,
               "as in SQL");
