/* Stitching: log entries in, graph rows out. The graph is a function of the sequence of entries
 * alone: neither transactions nor restarts change a byte of it (docs/formats/graph.md). */
#pragma once
#include "pv/event.h"
#include "pv/own.h"
#include "pv/ratchet.h"

#include <stdbool.h>

struct pv_stitch;

/* Opens (creates) the database at path, or continues one where its last commit left it. ":memory:"
 * makes a private one. One writer at a time; one thread. -EILSEQ: the file is no graph of this
 * format or is damaged: move it aside and rebuild. */
PV_MUST_CHECK int pv_stitch_open(struct pv_stitch **ret, const char *path, struct pv_err *err);
/* Sequence number of the entry expected next; 0 for a new graph. */
uint64_t pv_stitch_next_seq(const struct pv_stitch *s);
/* A graph without an event yet begins with that one: what comes before is not held by the log. */
void pv_stitch_begin_at(struct pv_stitch *s, uint64_t seq);
/* Whether that was the last entry added: a graph goes on only with the log it was made from. */
PV_MUST_CHECK int pv_stitch_is_last(struct pv_stitch *s, const uint8_t *entry, size_t len,
                                    bool *ret, struct pv_err *err);
/* Adds entry seq (must be pv_stitch_next_seq): the log's bytes (event and tag). Starts a
 * transaction when none is open. After an error the caller drops the object: nothing of the open
 * transaction remains. */
PV_MUST_CHECK int pv_stitch_entry(struct pv_stitch *s, uint64_t seq, const uint8_t *entry,
                                  size_t len, struct pv_err *err);
/* Adds a signed checkpoint over the first `size` entries. Ignored when size is unknown yet (the
 * caller adds it after those entries) or already stored. */
PV_MUST_CHECK int pv_stitch_checkpoint(struct pv_stitch *s, uint64_t size,
                                       const uint8_t root[PV_HASH_BYTES], const char *note,
                                       size_t note_len, struct pv_err *err);
/* Makes everything so far durable against a crash of the process. */
PV_MUST_CHECK int pv_stitch_commit(struct pv_stitch *s, struct pv_err *err);
/* Entries in the open transaction. */
uint64_t pv_stitch_uncommitted(const struct pv_stitch *s);
/* Rolls back what was not committed. Accepts NULL. */
void pv_stitch_close(struct pv_stitch *s);
PV_DEFINE_CLEANUP(struct pv_stitch, pv_stitch_close)
