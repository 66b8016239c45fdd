/* The evidence log's writer: append, group commit, sign (docs/formats/log.md). One writer a log,
 * one thread. */
#pragma once
#include "pv/log_reader.h"
#include "pv/merkle.h"

struct pv_log;

/* What opening found. */
struct pv_log_recovery {
    uint64_t size;              /* entries kept */
    uint64_t checkpointed_size; /* entries under the last checkpoint */
    uint64_t discarded_bytes; /* of an unfinished or rejected tail past that checkpoint, cut off */
    uint64_t rebuilt_leaves;  /* entries whose cached leaf hash was missing or wrong */
    uint64_t scanned_from; /* the first entry that was looked at; those before stand in tiles that
                              give the signed root */
    bool created;          /* the log was empty */
    bool rotated;          /* a change of the key that was recorded is finished now */
};

/* Sees the entries while the log is opened, oldest first: those of the journal when the tiles of
 * what is older are sound, else all; is_signed: it lies under the last
 * checkpoint. 0 = keep; 1 = reject this entry and everything after it (ignored when it is signed);
 * negative = give up. */
typedef int (*pv_log_scan_fn)(void *ctx, const struct pv_log_entry *entry,
                              const struct pv_event *event, bool is_signed, struct pv_err *err);

/* Opens or creates the log in dir_fd with the key in key_dir_fd (made when both are new).
 * Recomputes the tree from its tiles and the journal; refuses (-EBADMSG) a log that does not match
 * its last checkpoint. scan
 * may be NULL. Both descriptors are duplicated. */
PV_MUST_CHECK int pv_log_open(struct pv_log **ret, int dir_fd, int key_dir_fd, pv_log_scan_fn scan,
                              void *ctx, struct pv_log_recovery *ret_recovery, struct pv_err *err);
/* fn is called before segments of the journal go: what can be made up for only from them must be
 * durable when it returns 0. ctx is borrowed as long as the log is open. */
void pv_log_before_drop(struct pv_log *log, int (*fn)(void *ctx, struct pv_err *err), void *ctx);
/* Adds an entry to the batch in memory; -EAGAIN when the batch is full (write it first). */
PV_MUST_CHECK int pv_log_append(struct pv_log *log, const void *event, size_t len,
                                const uint8_t tag[PV_TAG_BYTES], struct pv_err *err);
/* Whether an event of any size fits into the batch. */
bool pv_log_has_room(const struct pv_log *log);
/* Hands the batch to the kernel: from here on it survives the death of the process. On failure the
 * batch stays and the files are as before: call again later. */
PV_MUST_CHECK int pv_log_write(struct pv_log *log, struct pv_err *err);
/* write, make durable, then sign and append a checkpoint over all of it. */
PV_MUST_CHECK int pv_log_commit(struct pv_log *log, struct pv_err *err);
/* Draws the log's next key. Log an event with its public key, commit (the checkpoint then carries
 * the signatures of both), record the change, then end: from there on only the next one signs, and
 * the old one is gone. A crash before the checkpoint leaves the old key and a next one that nobody
 * takes for one; a crash behind it leaves the change to be finished when the log is opened. What
 * was recorded is finished in any case, also after a power failure. -E2BIG: the log has had as many
 * keys as a verifier takes, and goes on with the one it has. */
PV_MUST_CHECK int pv_log_rotate_begin(struct pv_log *log, uint8_t ret_public_key[32],
                                      struct pv_err *err);
PV_MUST_CHECK int pv_log_rotate_record(struct pv_log *log, struct pv_err *err);
PV_MUST_CHECK int pv_log_rotate_end(struct pv_log *log, struct pv_err *err);
/* Lets go of the entries below end (at most what pv_log_detachable says): a signed event must say
 * so. Durable when it returns; the files go little by little, with commits and with tidy. */
PV_MUST_CHECK int pv_log_detach(struct pv_log *log, uint64_t end, struct pv_err *err);
/* Removes at most max bundles of what was detached; 1 = more are left. */
PV_MUST_CHECK int pv_log_tidy(struct pv_log *log, unsigned max, struct pv_err *err);
/* Brings the file "checkpoint" up to date; at most once a second unless force. */
PV_MUST_CHECK int pv_log_publish(struct pv_log *log, bool force, struct pv_err *err);
/* From now on no sync of the static files is begun, for which closing would have to wait; the
 * journal keeps what they lack. */
void pv_log_ends(struct pv_log *log);

uint64_t pv_log_size(const struct pv_log *log);         /* with what is only in memory */
uint64_t pv_log_written_size(const struct pv_log *log); /* handed to the kernel */
uint64_t pv_log_signed_size(const struct pv_log *log);  /* under the last checkpoint */
void pv_log_root(const struct pv_log *log, uint8_t out[PV_HASH_BYTES]);
const struct pv_note_key *pv_log_key(const struct pv_log *log);
/* Closes without committing. Accepts NULL. */
void pv_log_free(struct pv_log *log);
