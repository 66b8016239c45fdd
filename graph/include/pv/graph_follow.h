/* Keeping a graph up with its log; making it anew; comparing the two. */
#pragma once
#include "pv/graph.h"
#include "pv/stitch.h"

struct pv_note_key; /* pv/note.h */

struct pv_follow;
/* Reads the log in dir_fd (duplicated) from where the graph stands. -ESTALE: the log has
 * not the entry that the graph saw last: it is another log, or was cut; rebuild. s is borrowed. */
PV_MUST_CHECK int pv_follow_open(struct pv_follow **ret, struct pv_stitch *s, int log_dir_fd,
                                 struct pv_err *err);
/* Stitches at most max entries and the checkpoints that cover them, without committing. Returns how
 * many entries there were. -ESTALE: the log has let go of the next one. */
PV_MUST_CHECK int pv_follow_step(struct pv_follow *f, unsigned max, struct pv_err *err);
/* How many entries the log holds now; where it cannot be told at this moment, how many were read.
 */
uint64_t pv_follow_log_size(const struct pv_follow *f);
void pv_follow_close(struct pv_follow *f);
PV_DEFINE_CLEANUP(struct pv_follow, pv_follow_close)

/* Builds a new graph from the whole log beside the old one and puts it in its place in one step.
 * Nobody else may be writing to the old one. progress(ctx, entries) may be NULL. */
PV_MUST_CHECK int pv_graph_rebuild(const char *path, int log_dir_fd,
                                   void (*progress)(void *ctx, uint64_t entries), void *ctx,
                                   struct pv_err *err);
/* SHA-256 over every row of every table in key order. Checkpoints are left out: which of the
 * log's checkpoints a graph has seen depends on when it looked. */
PV_MUST_CHECK int pv_graph_digest(const char *path, uint8_t ret[PV_HASH_BYTES], struct pv_err *err);

enum pv_graph_verdict {
    PV_GRAPH_OK,
    PV_GRAPH_BAD_EVENT,      /* an event row is not what the chain says */
    PV_GRAPH_BAD_CHECKPOINT, /* a checkpoint row does not fit the chain or the tree */
    PV_GRAPH_BAD_DERIVED,    /* nodes, edges, … are not what stitching the events gives */
    PV_GRAPH_NOT_THE_LOG,    /* the graph's events are not the log's */
    PV_GRAPH_UNREADABLE,     /* no graph of this version's format, or damaged as a file */
};
/* "ok", "bad-event", "bad-checkpoint", "bad-derived", "not-the-log", "unreadable". */
const char *pv_graph_verdict_name(enum pv_graph_verdict v);
struct pv_graph_check {
    enum pv_graph_verdict verdict;
    char table[16]; /* where the first bad row stands */
    char row[96];   /* its key */
    char text[256]; /* one sentence */
    uint64_t events, checkpoints;
};
/* Checks a graph by itself: every event row against its leaf, chain and columns, the tree's root
 * under each checkpoint, and all derived tables by stitching the events again in memory. With
 * log_dir_fd >= 0 every entry is compared with the log, too. With key (or NULL) every checkpoint's
 * note must be signed by it and say what its row says. */
PV_MUST_CHECK int pv_graph_verify(const char *path, int log_dir_fd, const struct pv_note_key *key,
                                  struct pv_graph_check *ret, struct pv_err *err);
