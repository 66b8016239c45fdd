/* The inside of a verifier: the log is read in order by verify.c, what is odd is judged by the
 * files verify_*.c. Functions that return int say 0: go on, 1: judged, or a negative errno. */
#pragma once
#include "domains.h"
#include "entry_stream.h"
#include "rotations.h"
#include "tile_check.h"

#include "pv/leaf_cache.h"
#include "pv/log_reader.h"
#include "pv/proof.h"
#include "pv/verify.h"

struct pv_verifier {
    int dir_fd; /* borrowed */
    const struct pv_verify_options *opt;
    struct pv_verify_result *res;
    struct pv_log_reader *entries;            /* owned */
    struct pv_entry_stream *stream;           /* owned; reads them */
    struct pv_checkpoint_reader *checkpoints; /* owned */
    struct pv_disclosed *disclosed;           /* owned */
    struct pv_domains *domains;               /* owned */
    struct pv_tile_check *tiles;              /* owned */
    struct pv_frontier tree;
    uint8_t tile_root[PV_HASH_BYTES]; /* of its last 256 entries, where they fill a tile */
    struct pv_frontier good;          /* at the last checkpoint that matched */
    struct pv_checkpoint next;        /* the one to be reached */
    bool have_next;
    char next_note[PV_NOTE_MAX];
    size_t next_note_len;
    uint64_t latest_size;   /* of the file "checkpoint", read first */
    struct pv_buf latest;   /* its note, or empty */
    struct pv_note_key key; /* grows by the keys that signed events bring in */
    uint64_t rotation_seq;  /* of such an event that no checkpoint covers yet */
    uint8_t rotation_key[32], rotation_old[32];
    bool rotating;
    struct pv_rotation_claim claims[PV_ROTATION_CLAIMS_MAX]; /* once an entry was detached */
    unsigned n_claims;
    bool claims_read;
    struct pv_leaf_cache *leaves; /* owned; stored hashes of what was detached, or NULL */
    uint64_t detached;            /* entries below it need not be there, says the log's file */
    uint64_t said, said_next;     /* so do signed events, and those no checkpoint covers yet */
    uint64_t first_skipped, last_skipped; /* of those that are not, when res->detached */
    bool yields;                          /* the anomaly, to a wrong tag of the same event */
    struct pv_verify_result anomaly;      /* first odd event since then; verdict OK: none */
};

/* --- verdicts (verify_verdict.c) --- */
/* Sets the verdict and the first event it speaks of; always 1. */
int pv_verifier_judge(struct pv_verifier *v, enum pv_verdict verdict, uint64_t seq,
                      const char *text);
/* A checkpoint that is none; rc says why. */
int pv_verifier_judge_note(struct pv_verifier *v, int rc, const char *which,
                           const struct pv_err *why);
/* An odd event becomes the verdict when the checkpoint over it holds. */
void pv_verifier_suspect(struct pv_verifier *v, enum pv_verdict verdict, uint64_t seq,
                         const char *what);
int pv_verifier_settle_tags(struct pv_verifier *v);
/* The entries up to the next checkpoint do not give its root. */
int pv_verifier_judge_stretch(struct pv_verifier *v, struct pv_err *err);

/* --- keys (verify_keys.c) --- */
void pv_verifier_note_rotation(struct pv_verifier *v, uint64_t seq, const struct pv_event *e);
void pv_verifier_note_detached_rotation(struct pv_verifier *v, uint64_t seq,
                                        const uint8_t leaf[PV_HASH_BYTES]);
int pv_verifier_adopt_key(struct pv_verifier *v, struct pv_err *err);
void pv_verifier_keys_before(struct pv_verifier *v);

/* --- checkpoints (verify_checkpoints.c) --- */
int pv_verifier_read_latest(struct pv_verifier *v, struct pv_err *err);
int pv_verifier_open_checkpoints(struct pv_verifier *v, struct pv_err *err);
int pv_verifier_check_latest(struct pv_verifier *v);
int pv_verifier_next_checkpoint(struct pv_verifier *v, struct pv_err *err);
int pv_verifier_reach(struct pv_verifier *v, struct pv_err *err);
int pv_verifier_later_checkpoint(struct pv_verifier *v, struct pv_err *err);

/* --- what is known beside the log (verify_known.c) --- */
int pv_verifier_check_known(struct pv_verifier *v);
int pv_verifier_check_known_before(struct pv_verifier *v, struct pv_tree_reader *r,
                                   struct pv_err *err);
int pv_verifier_check_rollback(struct pv_verifier *v);

/* --- beginning, events, end --- */
int pv_verifier_start(struct pv_verifier *v, struct pv_err *err);
int pv_verifier_learn_detached(struct pv_verifier *v, struct pv_err *err);
int pv_verifier_check_event(struct pv_verifier *v, const struct pv_log_entry *entry,
                            struct pv_err *err);
int pv_verifier_judge_end(struct pv_verifier *v, struct pv_err *err);
