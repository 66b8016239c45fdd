#include "verifier.h"

#include "suspect.h"

#include <inttypes.h>
#include <stdio.h>

const char *pv_verdict_name(enum pv_verdict v)
{
    static const char *const names[PV_VERDICT_MAX] = {
        "ok",          "edited",    "reordered",      "deleted",
        "inserted",    "truncated", "bad-checkpoint", "bad-signature",
        "unknown-key", "rollback",  "fork",           "gap",
        "bad-event",   "wrong-tag", "bad-tile",       "unfinished-tail"};
    return (unsigned)v < PV_VERDICT_MAX ? names[v] : "unknown";
}

/* Sets the verdict and the first event it speaks of; 1 = stop. */
int pv_verifier_judge(struct pv_verifier *v, enum pv_verdict verdict, uint64_t seq,
                      const char *text)
{
    v->res->verdict = verdict;
    v->res->has_seq = verdict != PV_VERDICT_OK;
    v->res->first_bad_seq = seq;
    snprintf(v->res->text, sizeof v->res->text, "%s", text);
    return 1;
}

static enum pv_verdict verdict_of_note(int rc)
{
    return rc == -ENOKEY         ? PV_VERDICT_UNKNOWN_KEY
           : rc == -EKEYREJECTED ? PV_VERDICT_BAD_SIGNATURE
                                 : PV_VERDICT_BAD_CHECKPOINT;
}

/* A checkpoint that is none: what lies past the last good one is not shown to be signed. */
int pv_verifier_judge_note(struct pv_verifier *v, int rc, const char *which,
                           const struct pv_err *why)
{
    char text[640];
    bool unseen = rc == -ENOKEY && v->res->detached;
    snprintf(text, sizeof text, "%s: %s (the events from e%" PRIu64 " on rest on it)%s", which,
             why->text, v->good.size,
             unseen ? "; if the log's key was changed in what is archived, --rotations FILE with a "
                      "copy of the log's 'rotations' or 'provost audit attach' shows it"
                    : "");
    return pv_verifier_judge(v, verdict_of_note(rc), v->good.size, text);
}

void pv_verifier_suspect(struct pv_verifier *v, enum pv_verdict verdict, uint64_t seq,
                         const char *what)
{
    if (v->anomaly.verdict != PV_VERDICT_OK)
        return;
    v->anomaly.verdict = verdict;
    v->anomaly.first_bad_seq = seq;
    snprintf(v->anomaly.text, sizeof v->anomaly.text, "entry %" PRIu64 ": %s", seq, what);
}

/* Tags are checked behind the reader. One that is wrong under a checkpoint that was passed already
 * is where this would have stopped; a later one joins what is odd since then. 1 = judged. */
int pv_verifier_settle_tags(struct pv_verifier *v)
{
    struct pv_domain_id id;
    char text[256], domain[2 * PV_DOMAIN_ID_BYTES + 1];
    struct pv_verify_result *odd = &v->anomaly;
    uint64_t seq = v->stream ? pv_entry_stream_settle(v->stream, &id) : UINT64_MAX;
    if (seq == UINT64_MAX)
        return 0;
    pv_hex(id.bytes, sizeof id.bytes, domain);
    snprintf(text, sizeof text,
             "entry %" PRIu64 ": its tag is not the one that the key of domain %s gives", seq,
             domain);
    if (seq < v->good.size)
        return pv_verifier_judge(v, PV_VERDICT_WRONG_TAG, seq, text);
    if (odd->verdict != PV_VERDICT_OK && odd->first_bad_seq <= seq &&
        !(odd->first_bad_seq == seq && v->yields))
        return 0;
    odd->verdict = PV_VERDICT_WRONG_TAG;
    odd->first_bad_seq = seq;
    snprintf(odd->text, sizeof odd->text, "%s", text);
    return 0;
}

/* Some of the stretch is in an archive that is not attached: only its hashes can be judged. */
static int judge_detached_stretch(struct pv_verifier *v)
{
    char text[256];
    if (v->tree.size < v->next.size) {
        snprintf(text, sizeof text,
                 "the log ends at entry %" PRIu64 ", but a checkpoint signs %" PRIu64, v->tree.size,
                 v->next.size);
        return pv_verifier_judge(v, PV_VERDICT_TRUNCATED, v->tree.size, text);
    }
    snprintf(text, sizeof text,
             "the stored hashes of the entries between e%" PRIu64 " and e%" PRIu64
             ", some of which are in an archive, do not give the signed root",
             v->good.size, v->next.size - 1);
    return pv_verifier_judge(v, PV_VERDICT_BAD_TILE, v->good.size, text);
}

int pv_verifier_judge_stretch(struct pv_verifier *v, struct pv_err *err)
{
    if (v->res->detached && v->last_skipped >= v->good.size)
        return judge_detached_stretch(v);
    struct pv_suspect s = {&v->good, v->next.size, v->next.root};
    int rc = pv_suspect_name(v->dir_fd, &s, v->res, err);
    return rc < 0 ? rc : 1;
}
