/* The list of checkpoints, and the newest one beside it. */
#include "verifier.h"

#include "log_files.h"

#include "pv/io.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The file "checkpoint" is read before all else: whatever it signs must be found afterwards. */
int pv_verifier_read_latest(struct pv_verifier *v, struct pv_err *err)
{
    struct pv_buf *b = &v->latest;
    struct pv_checkpoint c;
    struct pv_err why = PV_ERR_INIT;
    int rc = pv_read_file_at(v->dir_fd, PV_LOG_LATEST, b, err);
    if (rc == -ENOENT)
        return 0;
    PV_TRY(rc);
    rc = pv_checkpoint_open(&v->key, b->data ? b->data : (const uint8_t *)"", b->len, &c, &why);
    /* The key may have been changed since: then the log itself says so further on. */
    if (rc == -ENOKEY && pv_checkpoint_claimed_size(b->data, b->len, &v->latest_size))
        return 0;
    if (rc < 0)
        return pv_verifier_judge_note(v, rc, "the file 'checkpoint'", &why);
    v->latest_size = c.size;
    return 0;
}

/* A log without the list is one that was cut; a directory without anything is none. */
int pv_verifier_open_checkpoints(struct pv_verifier *v, struct pv_err *err)
{
    uint64_t first, last;
    struct pv_err why = PV_ERR_INIT;
    int rc = pv_checkpoint_reader_open(&v->checkpoints, v->dir_fd, 0, &why);
    if (rc == -ENOENT && (v->latest.len || pv_log_journal(v->dir_fd, &first, &last, err) == 0))
        return pv_verifier_judge(v, PV_VERDICT_TRUNCATED, 0,
                                 "the log's list of checkpoints is missing");
    return rc < 0 ? pv_refuse(err, -rc, "%s", why.text) : 0;
}

/* With all keys that the log brought in, and what it says of their ends. */
int pv_verifier_check_latest(struct pv_verifier *v)
{
    struct pv_checkpoint c;
    struct pv_err why = PV_ERR_INIT;
    if (v->latest.len == 0)
        return 0;
    int rc = pv_checkpoint_open(&v->key, v->latest.data, v->latest.len, &c, &why);
    return rc < 0 ? pv_verifier_judge_note(v, rc, "the file 'checkpoint'", &why) : 0;
}

/* Checks the next checkpoint and makes it the goal. */
int pv_verifier_next_checkpoint(struct pv_verifier *v, struct pv_err *err)
{
    const uint8_t *note;
    size_t len;
    struct pv_checkpoint c;
    struct pv_err why = PV_ERR_INIT;
    char which[64];
    uint64_t claimed;
    int rc;
    do
        rc = pv_checkpoint_reader_next(v->checkpoints, &note, &len, &why);
    while (rc > 0 && v->opt->since && pv_checkpoint_claimed_size(note, len, &claimed) &&
           claimed <= v->opt->since->size);
    snprintf(which, sizeof which, "checkpoint number %" PRIu64, v->res->checkpoints + 1);
    v->have_next = false;
    if (rc == -EBADMSG)
        return pv_verifier_judge_note(v, rc, which, &why);
    if (rc <= 0) {
        if (rc < 0 && err)
            *err = why;
        return rc;
    }
    rc = pv_checkpoint_open(&v->key, note, len, &c, &why);
    if (rc < 0)
        return pv_verifier_judge_note(v, rc, which, &why);
    if (c.size < v->good.size)
        return pv_verifier_judge(v, PV_VERDICT_BAD_CHECKPOINT, c.size, "checkpoints run backwards");
    v->next = c;
    v->have_next = true;
    memcpy(v->next_note, note, len);
    v->next_note_len = len;
    return 0;
}

/* Every checkpoint at the present size must carry the present root. */
int pv_verifier_reach(struct pv_verifier *v, struct pv_err *err)
{
    while (v->have_next && v->next.size == v->tree.size) {
        uint8_t root[PV_HASH_BYTES];
        pv_frontier_root(&v->tree, root);
        if (memcmp(root, v->next.root, sizeof root) != 0) {
            if (v->good.size == v->tree.size)
                return pv_verifier_judge(
                    v, PV_VERDICT_FORK, 0,
                    "two checkpoints of one size sign two roots: the log was forked "
                    "somewhere between e0 and there");
            return pv_verifier_judge_stretch(v, err);
        }
        if (v->anomaly.verdict != PV_VERDICT_OK) {
            int tag = pv_verifier_settle_tags(v);
            return tag ? tag
                       : pv_verifier_judge(v, v->anomaly.verdict, v->anomaly.first_bad_seq,
                                           v->anomaly.text);
        }
        v->good = v->tree;
        v->said = v->said_next;
        v->res->signed_entries = v->tree.size;
        v->res->checkpoints++;
        memcpy(v->res->note, v->next_note, v->next_note_len);
        v->res->note_len = v->next_note_len;
        memcpy(v->res->root, root, sizeof root);
        PV_TRY(pv_verifier_adopt_key(v, err));
        pv_note_key_retire_before(&v->key, v->res->note, v->res->note_len, v->good.size);
        int rc = pv_verifier_next_checkpoint(v, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* Where no checkpoint is left to reach, one may have been written since, and what comes may rest on
 * it: asked before every entry, as a checkpoint covers all written before it. 1 = judged. */
int pv_verifier_later_checkpoint(struct pv_verifier *v, struct pv_err *err)
{
    if (v->have_next)
        return 0;
    int rc = pv_verifier_next_checkpoint(v, err);
    return rc ? rc : pv_verifier_reach(v, err);
}
