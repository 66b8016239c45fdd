/* The inside of an open log, shared by appending (log.c) and opening (recover.c). */
#pragma once
#include "pv/evidence_log.h"

#include "tail.h"
#include "tiles.h"

struct pv_log {
    int dir_fd;     /* owned */
    int key_dir_fd; /* owned */
    struct pv_note_signer signer;
    struct pv_note_signer next; /* signs beside it, when rotating */
    bool rotating;
    struct pv_buf change; /* found at opening: the first note that the next key signed, or empty */
    struct pv_frontier tree; /* of everything appended, in memory or not */
    struct pv_tail segment;  /* the journal's file being written */
    struct pv_tail leaves;   /* its leaf hashes */
    uint64_t segment_number;
    uint64_t oldest_segment; /* in the journal */
    struct pv_tiles *tiles;  /* owned */
    struct pv_tail checkpoints;
    struct pv_buf batch; /* framed entries not yet written; all of this segment */
    struct pv_buf batch_leaves;
    uint64_t written_size;
    uint64_t signed_size;
    uint64_t detached,
        removed;          /* entries below the first need not be here; below the second are not */
    struct pv_buf latest; /* the last note */
    bool latest_stale;    /* the file "checkpoint" is older than it */
    bool ending;          /* pv_log_ends */
    uint64_t published_ns;
    int (*before_drop)(void *ctx, struct pv_err *err); /* or NULL */
    void *before_drop_ctx;                             /* borrowed */
};

/* Opens the segment that the next entry belongs to. */
PV_MUST_CHECK int pv_log_open_segment(struct pv_log *log, uint64_t number, struct pv_err *err);
/* Reads what is there into log (dir_fd and signer are set): last checkpoint, tree, good lengths. */
PV_MUST_CHECK int pv_log_recover(struct pv_log *log, pv_log_scan_fn scan, void *ctx,
                                 struct pv_log_recovery *ret, struct pv_err *err);
