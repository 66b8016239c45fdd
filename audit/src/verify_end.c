/* What can be said only at the end. */
#include "verifier.h"

#include <inttypes.h>
#include <stdio.h>

enum { UNSIGNED_MAX = 8 * PV_LOG_BATCH_MAX }; /* a batch, and what the auditor adds of its own */

/* An auditor signs what it has written within milliseconds. Many entries past the last checkpoint
 * are therefore no unfinished work: somebody took the checkpoints away to change what they sign. */
static int check_unsigned(struct pv_verifier *v, struct pv_err *err)
{
    uint64_t signed_size = v->good.size;
    char text[256];
    if (v->tree.size - v->good.size <= UNSIGNED_MAX)
        return 0;
    /* Signed while this was reading. */
    for (;;) {
        int rc = pv_verifier_next_checkpoint(v, err);
        if (rc)
            return rc;
        if (!v->have_next)
            break;
        signed_size = v->next.size;
    }
    if (signed_size + UNSIGNED_MAX >= v->tree.size)
        return 0;
    snprintf(text, sizeof text,
             "%" PRIu64 " entries from e%" PRIu64
             " on lie under no checkpoint: the list of checkpoints was cut",
             v->tree.size - signed_size, signed_size);
    return pv_verifier_judge(v, PV_VERDICT_TRUNCATED, signed_size, text);
}

/* Only a signed event lets entries be missing. */
static int check_detached(struct pv_verifier *v)
{
    char text[256];
    uint64_t first = v->first_skipped > v->said ? v->first_skipped : v->said;
    if (v->res->detached == 0)
        return 0;
    if (v->said < v->last_skipped + 1) {
        snprintf(text, sizeof text,
                 "entries up to e%" PRIu64
                 " are missing, and no signed event says that those from e%" PRIu64
                 " on were moved into an archive",
                 v->last_skipped, first);
        return pv_verifier_judge(v, PV_VERDICT_DELETED, first, text);
    }
    if (!v->opt->complete)
        return 0;
    snprintf(text, sizeof text,
             "%" PRIu64 " entries from e%" PRIu64 " on are in archives that are not attached",
             v->res->detached, v->first_skipped);
    return pv_verifier_judge(v, PV_VERDICT_GAP, v->first_skipped, text);
}

/* What can be said only at the end. */
int pv_verifier_judge_end(struct pv_verifier *v, struct pv_err *err)
{
    char text[256];
    v->res->torn_bytes = pv_log_reader_torn(v->entries);
    int rc = pv_verifier_check_latest(v);
    if (rc)
        return rc;
    if (v->latest_size > v->res->signed_entries) {
        snprintf(text, sizeof text,
                 "the last checkpoint signs %" PRIu64
                 " entries, the list of checkpoints ends at %" PRIu64 ": it was cut",
                 v->latest_size, v->res->signed_entries);
        return pv_verifier_judge(v, PV_VERDICT_TRUNCATED, v->res->signed_entries, text);
    }
    rc = pv_verifier_check_rollback(v);
    if (rc)
        return rc;
    rc = check_detached(v);
    if (rc)
        return rc;
    rc = check_unsigned(v, err);
    if (rc)
        return rc;
    if (v->anomaly.verdict != PV_VERDICT_OK)
        return pv_verifier_judge(v, v->anomaly.verdict, v->anomaly.first_bad_seq, v->anomaly.text);
    if (v->opt->complete && v->res->gap_events)
        return pv_verifier_judge(v, PV_VERDICT_GAP, v->res->first_gap_seq, v->res->first_gap);
    if (v->res->torn_bytes) {
        snprintf(text, sizeof text,
                 "%" PRIu64 " bytes of an unfinished entry stand where e%" PRIu64 " would be",
                 v->res->torn_bytes, v->tree.size);
        return pv_verifier_judge(v, PV_VERDICT_UNFINISHED_TAIL, v->tree.size, text);
    }
    snprintf(text, sizeof text,
             "%" PRIu64 " entries under %" PRIu64 " checkpoints are as they were signed",
             v->res->signed_entries, v->res->checkpoints);
    return pv_verifier_judge(v, PV_VERDICT_OK, 0, text);
}
