/* Checks a whole evidence log offline, with nothing but the public key. What it shows: every entry
 * under a checkpoint is the one that was signed, in the order it was signed; each domain's events
 * are canonical, dense and begin with its commitment; and carry the tags that the disclosed keys
 * give. Not shown here: the tags of epochs whose key is not disclosed yet (the auditor checks each
 * one on arrival). */
#pragma once
#include "pv/checkpoint.h"

enum pv_verdict {
    PV_VERDICT_OK,
    PV_VERDICT_EDITED,         /* an entry is not the one that was signed */
    PV_VERDICT_REORDERED,      /* signed entries stand in another order */
    PV_VERDICT_DELETED,        /* a signed entry is missing in the middle */
    PV_VERDICT_INSERTED,       /* an entry stands between signed ones */
    PV_VERDICT_TRUNCATED,      /* signed entries, or checkpoints, are missing at the end */
    PV_VERDICT_BAD_CHECKPOINT, /* a checkpoint is malformed, or sizes run backwards */
    PV_VERDICT_BAD_SIGNATURE,
    PV_VERDICT_UNKNOWN_KEY,     /* signed by another key than the one given */
    PV_VERDICT_ROLLBACK,        /* older than the pinned checkpoint */
    PV_VERDICT_FORK,            /* contradicts the pinned checkpoint */
    PV_VERDICT_GAP,             /* a domain's numbering has a hole */
    PV_VERDICT_BAD_EVENT,       /* signed, but not canonical or not allowed at its place */
    PV_VERDICT_WRONG_TAG,       /* an event's tag is not the one its domain's disclosed key gives */
    PV_VERDICT_BAD_TILE,        /* a static file is not what the entries give */
    PV_VERDICT_UNFINISHED_TAIL, /* half an entry past the last checkpoint, as a crash leaves it */
    PV_VERDICT_MAX
};
/* "ok", "edited", "reordered", "deleted", "inserted", "truncated", "bad-checkpoint",
 * "bad-signature", "unknown-key", "rollback", "fork", "gap", "bad-event", "wrong-tag", "bad-tile",
 * "unfinished-tail". */
const char *pv_verdict_name(enum pv_verdict v);

struct pv_verify_options {
    const struct pv_note_key *key;
    const struct pv_checkpoint *pinned; /* the last one the verifier saw before, or NULL */
    const struct pv_checkpoint
        *witnessed; /* those that witnesses cosigned; NULL when there are none */
    unsigned n_witnessed;
    const struct pv_checkpoint *since; /* check only what came after it, or NULL: everything */
    bool complete;                     /* recorded losses of the outside witness are a gap, too */
    unsigned jobs;                     /* threads; 0 or 1: the caller's alone */
    void (*progress)(void *ctx, uint64_t entries); /* now and then; or NULL */
    void *ctx;
};
struct pv_verify_result {
    enum pv_verdict verdict;
    bool has_seq;                /* with every verdict but ok */
    uint64_t first_bad_seq;      /* exact unless text says "between"; of a verdict about checkpoints
                                    the first event that no good one covers */
    char text[512];              /* one sentence */
    uint64_t entries;            /* read */
    uint64_t signed_entries;     /* under the last checkpoint that verified */
    uint64_t checkpoints;        /* verified */
    uint8_t root[PV_HASH_BYTES]; /* of the signed entries */
    uint64_t domains, open_domains;
    uint64_t rechecked_tags; /* events whose tags were recomputed with disclosed keys */
    uint64_t gap_events;     /* losses recorded by the outside witness */
    uint64_t lost_records;   /* sum of what they say */
    uint64_t faults;         /* producer-fault events */
    uint64_t recoveries;
    uint64_t rotations;     /* of the log's key */
    struct pv_note_key key; /* the one given, and those that signed events brought in */
    uint64_t detached; /* entries that only archives hold, which were not attached: of these only
                          the hashes were checked */
    uint64_t torn_bytes;
    uint64_t first_time_ns, last_time_ns;
    uint64_t first_gap_seq; /* of gap_events */
    char first_gap[160];    /* what it says */
    char note[PV_NOTE_MAX]; /* the last checkpoint that verified */
    size_t note_len;
    bool tiles_missing;   /* static files that the journal makes up for, but not for others */
    bool outside_missing; /* some log-open says that the outside witness was missing */
};

/* 0 when a verdict was reached, whichever; negative when the log could not be read. */
PV_MUST_CHECK int pv_verify_log(int dir_fd, const struct pv_verify_options *options,
                                struct pv_verify_result *ret, struct pv_err *err);
