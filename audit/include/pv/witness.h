/* A witness of one log (c2sp.org/tlog-witness): remembers the largest checkpoint it has cosigned,
 * cosigns another one only when that begins with it, and keeps the evidence when it does not. */
#pragma once
#include "pv/checkpoint.h"
#include "pv/cosignature.h"
#include "pv/log_source.h"
#include "pv/proof.h"

enum pv_witness_answer {
    PV_WITNESS_COSIGNED,
    PV_WITNESS_UNCHANGED,      /* nothing new, and the cosignature at hand is young */
    PV_WITNESS_MALFORMED,      /* not a checkpoint */
    PV_WITNESS_UNKNOWN_ORIGIN, /* of another log */
    PV_WITNESS_UNKNOWN_KEY,
    PV_WITNESS_BAD_SIGNATURE,
    PV_WITNESS_ROLLBACK,   /* smaller than what was cosigned before, and it stays so */
    PV_WITNESS_FORK,       /* contradicts what was cosigned before */
    PV_WITNESS_OTHER_SIZE, /* the proof does not start at what was cosigned last */
    PV_WITNESS_BAD_PROOF,  /* consistency is not shown; that the log was forked is not either */
    PV_WITNESS_BAD_TILE,   /* the log's tiles do not give the root that it signs */
    PV_WITNESS_BEHIND,     /* smaller than what was cosigned before: rolled back, or not yet */
};

struct pv_witness;
/* The witness whose key and memory are in dir_fd (duplicated), of the log with that key (copied).
 * One process at a time: -EBUSY. Only the log's present key is believed: the newest of log_key, or
 * the one that the log was seen to change to since. Files: witness.key, checkpoint (the last one
 * cosigned), log.pub (the key that the log changed to), conflict and rollback (the first note that
 * was refused as a fork, or as rolled back), lock. */
PV_MUST_CHECK int pv_witness_open(struct pv_witness **ret, int dir_fd,
                                  const struct pv_note_key *log_key, struct pv_err *err);
const struct pv_cosigner_key *pv_witness_key(const struct pv_witness *w);
/* Entries of the last checkpoint cosigned; 0 when there is none. */
uint64_t pv_witness_size(const struct pv_witness *w);
/* The last checkpoint with its cosignature; borrowed until the next call; NULL when there is none.
 */
const uint8_t *pv_witness_note(const struct pv_witness *w, size_t *ret_len);
/* Puts a checkpoint before the witness, with a proof that the log of old_size entries is how it
 * begins. COSIGNED: the new state is durable, and the signature line was appended to ret_line. Any
 * other answer is explained in err. Negative when the witness itself fails. */
PV_MUST_CHECK int pv_witness_add(struct pv_witness *w, uint64_t old_size,
                                 const struct pv_proof *proof, const void *note, size_t len,
                                 uint64_t now_s, struct pv_buf *ret_line, struct pv_err *err);
/* Looks at the log's published checkpoint and proves from its tiles what add wants proved. A
 * cosignature younger than max_age_s is not renewed. A smaller checkpoint is BEHIND, and a ROLLBACK
 * once that lasts 3 s; UNCHANGED when the tiles show that the log holds what was cosigned. Returns
 * an answer, or negative when the log cannot be read (-ENOENT: it has published nothing) or the
 * witness fails. */
PV_MUST_CHECK int pv_witness_follow(struct pv_witness *w, const struct pv_log_source *source,
                                    uint64_t now_s, uint64_t max_age_s, struct pv_err *err);
void pv_witness_free(struct pv_witness *w);
static inline void pv_witness_cleanup_(struct pv_witness **w)
{
    pv_witness_free(*w);
}
#define pv_auto_witness __attribute__((cleanup(pv_witness_cleanup_)))

/* The body of an add-checkpoint request, taken apart; the note is borrowed from it. -EBADMSG. */
struct pv_witness_request {
    uint64_t old_size;
    struct pv_proof proof;
    const uint8_t *note;
    size_t note_len;
};
PV_MUST_CHECK int pv_witness_request_parse(const void *body, size_t len,
                                           struct pv_witness_request *ret, struct pv_err *err);
